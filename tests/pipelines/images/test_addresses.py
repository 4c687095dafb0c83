"""Images at addresses: listed and read by fsspec, of the Hub too, and one sentence for whatever goes wrong."""

import importlib.util
from pathlib import Path

import fsspec
import pytest
from huggingface_hub import HfFileSystem

from pipelines.errors import BadPicture
from pipelines.images.addresses import Address, identify, is_folder, list_folder, load, parse_place
from tests.support.hub import MAY_READ, LoopbackHub, use

FOLDER = "memory://bucket/photos"


@pytest.fixture
def bucket(memory: fsspec.AbstractFileSystem) -> fsspec.AbstractFileSystem:
    """A folder in memory: two images, one of them within, whose names no address may change."""
    memory.pipe({"/bucket/photos/ü #%20?.png": b"one", "/bucket/photos/sub/b.png": b"two"})
    return memory


def test_what_has_a_protocol_is_an_address_and_all_else_a_path() -> None:
    for text in ("hf://datasets/owner/name/a.png", "s3://bucket", "memory://a"):
        assert parse_place(text) == Address(text) and identify(parse_place(text)) == str(parse_place(text)) == text
    for text in ("a.png", "/a//b.png", "C://a.png", "a/b://c.png", "-b.png"):
        assert parse_place(text) == Path(text)
    assert Address("s3://bucket/photos/").name == "photos"


def test_a_folder_is_listed_in_order_and_its_files_read(bucket: fsspec.AbstractFileSystem) -> None:
    assert is_folder(Address(FOLDER)) and not is_folder(Address(f"{FOLDER}/sub/b.png"))
    within, image = list_folder(Address(FOLDER))
    assert (within.address.name, within.is_folder) == ("sub", True)
    assert (image.address.name, image.is_folder) == ("ü #%20?.png", False)
    assert load(image.address) == b"one" and load(Path("here.png")) == Path("here.png")
    assert [load(each.address) for each in list_folder(within.address)] == [b"two"]


def test_a_file_beyond_the_limit_is_not_read_whole(
    bucket: fsspec.AbstractFileSystem, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its size is told beforehand, or, where a file system tells none, no more is read than may be."""
    monkeypatch.setenv("UPSCALE_MAX_UPLOAD_MEGABYTES", "0.001")
    bucket.pipe("/bucket/large.png", bytes(1500))
    reads: list[int] = []
    read, info = bucket.cat_file, bucket.info

    def count(*arguments: object, **more: object) -> bytes:
        found: bytes = read(*arguments, **more)
        reads.append(len(found))
        return found

    monkeypatch.setattr(type(bucket), "cat_file", lambda self, *given, **more: count(*given, **more))
    for told in (info, lambda path: info(path) | {"size": None}):
        monkeypatch.setattr(type(bucket), "info", lambda self, path, told=told: told(path))
        with pytest.raises(BadPicture, match=r"^memory://bucket/large\.png is larger than 0\.001 MB, the most that"):
            load(Address("memory://bucket/large.png"))
    assert reads == [1001]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("memory://bucket/none.png", "memory://bucket/none.png does not exist."),
        ("memory://bucket/photos", "memory://bucket/photos is a folder: name one image in it."),
        ("sftq://host/a.png", "sftq://host/a.png cannot be read (Protocol not known: sftq)."),
        ("s3://bucket/a.png", "s3://bucket/a.png cannot be read (Install s3fs to access S3)."),
        ("gs://b/\na.png", "gs://b/?a.png cannot be read (Please install gcsfs to access Google Storage)."),
        ("hf://a.png", "hf://a.png cannot be read (Repository id must be"),
    ],
)
def test_what_cannot_be_read_is_one_sentence(text: str, said: str, bucket: fsspec.AbstractFileSystem) -> None:
    package = {"s3": "s3fs", "gs": "gcsfs"}.get(text.partition(":")[0])
    if package and importlib.util.find_spec(package):
        pytest.skip(f"{package} is installed here")
    with pytest.raises(BadPicture) as raised:
        load(Address(text))
    assert str(raised.value).startswith(said) and "\n" not in str(raised.value)


def test_a_server_that_fails_is_one_sentence_too(
    bucket: fsspec.AbstractFileSystem, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(self: object, *arguments: object, **more: object) -> bytes:
        raise PermissionError

    def fail(self: object, *arguments: object, **more: object) -> bytes:
        raise RuntimeError("no route\nto host " + "x" * 500)

    monkeypatch.setattr(type(bucket), "cat_file", refuse)
    with pytest.raises(BadPicture, match=r"b\.png may not be read\.$"):
        load(Address(f"{FOLDER}/sub/b.png"))
    monkeypatch.setattr(type(bucket), "ls", fail)
    with pytest.raises(BadPicture, match=r"photos cannot be read \(no route to host x{143}\)\.$"):
        list(list_folder(Address(FOLDER)))


def test_a_dataset_of_the_hub_is_read_with_the_users_token(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By huggingface_hub's own file system, and as what is missing there."""
    with LoopbackHub(datasets={"owner/photos": {"a.png": b"one", "b.png": b"two"}}) as hub:
        for name, content in hub.datasets["owner/photos"].items():
            hub.serve(f"/datasets/owner/photos/resolve/main/{name}", content)
        use(hub.url, tmp_path, monkeypatch)
        monkeypatch.setenv("HF_TOKEN", MAY_READ)
        HfFileSystem.clear_instance_cache()
        try:
            found = list(list_folder(Address("hf://datasets/owner/photos")))
            assert [str(each.address) for each in found] == [f"hf://datasets/owner/photos/{name}.png" for name in "ab"]
            assert [load(each.address) for each in found] == [b"one", b"two"]
            with pytest.raises(BadPicture, match=r"owner/none/a\.png does not exist\.$"):
                load(Address("hf://datasets/owner/none/a.png"))
        finally:
            HfFileSystem.clear_instance_cache()
