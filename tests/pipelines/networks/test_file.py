"""A file of weights is read safely: its kind is told by its content, and what is broken or a program is refused."""

import json
import struct
import zipfile
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file

from pipelines.errors import BadWeights
from pipelines.networks.archs.srvgg import SRVGGNetCompact
from pipelines.networks.checkpoints import read_network
from pipelines.networks.file import LARGEST_FILE
from tests.support.networks import compact, fill, noise, same


def test_safetensors_that_begin_like_a_page(tmp_path: Path) -> None:
    """The file begins with the length of its header, and spaces may fill that up: here to 0x…3c, which is "<"."""
    network, file = compact(4), tmp_path / "x.safetensors"
    save_file(network.state_dict(), file)
    (length,) = struct.unpack("<Q", file.read_bytes()[:8])
    header, numbers = file.read_bytes()[8 : 8 + length], file.read_bytes()[8 + length :]
    longer = length + (ord("<") - length) % 256
    file.write_bytes(struct.pack("<Q", longer) + header.ljust(longer) + numbers)
    assert file.read_bytes().startswith(b"<")
    assert same(read_network(file), network)


@pytest.mark.parametrize("name", ["x.safetensors", "x.pth"])
def test_the_file_may_go_once_it_is_read(name: str, tmp_path: Path) -> None:
    network = compact(4)
    (save_file if name.endswith("s") else torch.save)(network.state_dict(), tmp_path / name)
    loaded = read_network(tmp_path / name)
    with (tmp_path / name).open("r+b") as file:
        file.write(bytes((tmp_path / name).stat().st_size))
    assert same(loaded, network)


@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
def test_a_program_in_place_of_weights(tmp_path: Path) -> None:
    torch.jit.save(torch.jit.trace(compact(4), noise(2, 2)), tmp_path / "own.pth")
    with pytest.raises(BadWeights, match=r"^own\.pth holds code"):
        read_network(tmp_path / "own.pth")


def test_what_is_no_file(tmp_path: Path) -> None:
    for path, sentence in {
        tmp_path: "is not a file",
        tmp_path / "absent": "cannot be read",
        tmp_path / "zero\0": "cannot be read",
    }.items():
        with pytest.raises(BadWeights, match=f"{sentence}\\.$"):
            read_network(path)


def test_a_file_too_large_is_not_opened(tmp_path: Path) -> None:
    with (tmp_path / "own.pth").open("wb") as file:
        file.truncate(LARGEST_FILE + 1)
    with pytest.raises(BadWeights, match=r"^own\.pth belongs to another network: it is larger than any"):
        read_network(tmp_path / "own.pth")


@pytest.mark.parametrize("length", [1 << 62, 99_000_000, None], ids=str)
def test_a_header_that_claims_terabytes(length: int | None, tmp_path: Path) -> None:
    entry = {"dtype": "F32", "shape": [1 << 40], "data_offsets": [0, 1 << 42]}
    header = json.dumps({"conv_first.weight": entry}).encode()
    (tmp_path / "own.safetensors").write_bytes(struct.pack("<Q", length or len(header)) + header + bytes(64))
    with pytest.raises(BadWeights, match=r"^own\.safetensors is damaged or not a file of weights\.$"):
        read_network(tmp_path / "own.safetensors")


def test_a_zip_that_would_grow(tmp_path: Path) -> None:
    """torch itself would unpack it: a small file that takes all memory."""
    torch.save(compact(4).state_dict(), tmp_path / "own.pth")
    with zipfile.ZipFile(tmp_path / "own.pth") as stored:
        parts = {name: stored.read(name) for name in stored.namelist()}
    with zipfile.ZipFile(tmp_path / "own.pth", "w", zipfile.ZIP_DEFLATED) as packed:
        for name, content in parts.items():
            packed.writestr(name, content)
    with pytest.raises(BadWeights, match=r"^own\.pth is damaged or not a file of weights\.$"):
        read_network(tmp_path / "own.pth")


def test_a_lack_of_memory_is_not_the_files_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def load(*_: object, **__: object) -> None:
        raise MemoryError

    torch.save(compact(4).state_dict(), tmp_path / "own.pth")
    monkeypatch.setattr(torch, "load", load)
    with pytest.raises(MemoryError):
        read_network(tmp_path / "own.pth")


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The smallest networks, in each kind of file."""
    folder, network = tmp_path_factory.mktemp("small"), SRVGGNetCompact(1, width=1, depth=1)
    fill(network)
    torch.save(network.state_dict(), folder / "zip.pth")
    torch.save(network.state_dict(), folder / "legacy.pth", _use_new_zipfile_serialization=False)
    save_file(network.state_dict(), folder / "own.safetensors")
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize("name", ["zip.pth", "legacy.pth", "own.safetensors"])
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_broken_bytes(name: str, data: st.DataObject, small: dict[str, bytes], tmp_path: Path) -> None:
    """Whatever a broken disk or a cut download makes of a file, it is read or refused with a sentence."""
    content = bytearray(small[name])
    for place in data.draw(st.lists(st.integers(0, len(content) - 1), max_size=4)):
        content[place] = data.draw(st.integers(0, 255))
    (tmp_path / name).write_bytes(content[: data.draw(st.integers(0, 2 * len(content)))])
    try:
        network = read_network(tmp_path / name)
    except BadWeights as error:
        assert str(error).startswith(f"{name} ") and str(error).endswith(".") and "\n" not in str(error)
    else:
        assert all(value.isfinite().all() for value in network.parameters())
