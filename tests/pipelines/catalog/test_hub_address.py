"""What names a file on the Hub, and one sentence for what does not."""

import pytest

from pipelines.catalog.hub_address import parse
from pipelines.errors import BadSetting

SHA = "c0ffee" * 6 + "c0de"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("owner/name/file.safetensors", ("owner/name", None, "file.safetensors")),
        ("  owner/name/file.pth\n", ("owner/name", None, "file.pth")),
        ("o.w-n_er/na.me/deep/er/4x+a-b_c.d.pt", ("o.w-n_er/na.me", None, "deep/er/4x+a-b_c.d.pt")),
        (f"owner/name@{SHA}/file.pth", ("owner/name", SHA, "file.pth")),
        ("https://huggingface.co/owner/name/blob/main/a/file.pth", ("owner/name", None, "a/file.pth")),
        ("https://huggingface.co/owner/name/resolve/main/file.pth?download=true", ("owner/name", None, "file.pth")),
        ("huggingface.co/owner/name/blob/main/file.pth#L3", ("owner/name", None, "file.pth")),
        ("http://www.huggingface.co/owner/name/blob/main/file.pth", ("owner/name", None, "file.pth")),
        ("https://hf.co/owner/name/blob/main/4x%2Ba.pth", ("owner/name", None, "4x+a.pth")),
        (f"https://huggingface.co/owner/name/resolve/{SHA}/file.pth", ("owner/name", SHA, "file.pth")),
        ("owner/name/my nets/4x (new) [v2].pth", ("owner/name", None, "my nets/4x (new) [v2].pth")),
        ("https://huggingface.co/o/n/blob/main/a%20b.pth", ("o/n", None, "a b.pth")),
        ("o/n/a%20b.pth", ("o/n", None, "a b.pth")),
        ("HTTPS://HuggingFace.co/o/n/blob/main/X.PTH", ("o/n", None, "X.PTH")),
        ("owner/name/model_best.pth.tar", ("owner/name", None, "model_best.pth.tar")),
        ("owner/name@main/x.pth", ("owner/name", None, "x.pth")),
    ],
)
def test_what_names_a_file(text: str, expected: tuple[str, str | None, str]) -> None:
    assert parse(text) == expected


NAMES_NONE = "names no file on the Hub: write owner/name/file.safetensors, or the address of its page there."


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("owner/name", f"'owner/name' {NAMES_NONE}"),
        ("", f"'' {NAMES_NONE}"),
        ("../../etc/passwd.pth", NAMES_NONE),
        ("owner/name/../../x.pth", NAMES_NONE),
        ("owner/name/./x.pth", NAMES_NONE),
        ("owner/../x.pth", NAMES_NONE),
        ("own--er/name/x.pth", NAMES_NONE),
        ("owner/na..me/x.pth", NAMES_NONE),
        ("owner/name.git/x.pth", NAMES_NONE),
        ("-owner/name/x.pth", NAMES_NONE),
        ("/owner/name/x.pth", NAMES_NONE),
        ("owner//name/x.pth", NAMES_NONE),
        ("owner/name/ x.pth", NAMES_NONE),
        ("owner/name/a /x.pth", NAMES_NONE),
        ("owner/name/a,b.pth", "'owner/name/a,b.pth' has ',', and a file's path may only have letters of English,"),
        ("owner/name/a:4.pth", "has ':', and a file's path may only have"),
        ("owner/name/<b>.pth", "has '<', and a file's path may only have"),
        ("owner/name/file.pth\nand/another/one.pth", NAMES_NONE),
        ("owner/näme/x.pth", NAMES_NONE),
        ("owner/name/\N{CYRILLIC SMALL LETTER A}.pth", "has '\N{CYRILLIC SMALL LETTER A}', and a file's path may only"),
        ("owner/name@v1/x.pth", NAMES_NONE),
        ("C:\\models\\x.pth", NAMES_NONE),
        (
            "owner/name/x.bin",
            "'x.bin' is not a file of weights: its name must end in .safetensors, .pth, .pth.tar or .pt.",
        ),
        ("owner/name/x.pth.zip", "its name must end in .safetensors, .pth, .pth.tar or .pt."),
        ("o/n/" + "x" * 500, "The name of a file on the Hub has at most 200 characters here, not 504."),
        ("https://example.com/owner/name/blob/main/x.pth", "Only files on huggingface.co can be used"),
        ("https://huggingface.co.example.com/o/n/blob/main/x.pth", "Only files on huggingface.co can be used"),
        ("https://huggingface.co@example.com/o/n/blob/main/x.pth", "Only files on huggingface.co can be used"),
        ("https://[::1/o/n/blob/main/x.pth", "Only files on huggingface.co can be used"),
        ("https://huggingface.co/spaces/o/n/blob/main/x.pth", "is the address of a space; only a model's files can"),
        ("https://huggingface.co/datasets/o/n/blob/main/x.pth", "is the address of a dataset; only a model's files"),
        ("https://huggingface.co/owner/name", "is not the address of a file: open the file in the repository's list"),
        ("https://huggingface.co/owner/name/tree/main/nets", "is not the address of a file"),
        ("https://huggingface.co/o/n/blob/v1.0/x.pth", "as it is on main or at a 40-digit revision, not at 'v1.0'."),
        ("https://huggingface.co/o/n/blob/main/%2e%2e/x.pth", NAMES_NONE),
    ],
)
def test_what_names_none_is_one_sentence(text: str, sentence: str) -> None:
    with pytest.raises(BadSetting) as error:
        parse(text)
    assert sentence in str(error.value) and str(error.value).count("\n") == 0 and len(str(error.value)) < 250
