"""What `--help` says: a sentence for everything that can be given, with its range and default, and an example."""

import re

import pytest

from pipelines.cli.main import main

COMMANDS = ["models", "upscale", "chain", "benchmark", "weights", "weights list", "weights pull", "weights verify"]
ENTRY = re.compile(r"^  (\S.*?)(?:  +(\S.*))?$")


def read_help(command: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("COLUMNS", "500")  # so that each sentence stands in one line
    with pytest.raises(SystemExit) as ended:
        main([*command.split(), "--help"])
    assert ended.value.code == 0
    return capsys.readouterr().out


def list_entries(text: str) -> dict[str, str]:
    """The sentence of each argument and option, by the line that it begins with."""
    lines = text.split("example")[0].splitlines()
    found = {}
    for line, after in zip(lines, [*lines[1:], ""], strict=True):
        if entry := ENTRY.match(line):
            found[entry[1]] = entry[2] or (after.strip() if after.startswith("   ") else "")
    return found


@pytest.mark.parametrize("command", COMMANDS)
def test_everything_that_can_be_given_has_a_sentence_and_every_command_an_example(
    command: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    text = read_help(command, capsys, monkeypatch)
    entries = list_entries(text)
    assert entries and not [name for name, sentence in entries.items() if not sentence and name != "ACTION"]
    assert f"python -m pipelines {command}" in text.partition("example")[2]


@pytest.mark.parametrize(
    ("command", "option", "said"),
    [
        ("upscale", "--model KEY", "default swift"),
        ("upscale", "--scale X", "1.5 to 16, default 4"),
        ("upscale", "--width N", "up to 16 times the image's"),
        ("upscale", "--seed N", "0 to 4294967295, default 0"),
        ("upscale", "--denoise X", "default 1"),
        ("upscale", "--prompt TEXT", "at most 2000 characters, default none"),
        ("upscale", "--steps N", "1 to 200, default 20 for sd-x4, sd-x2; 100 for ldm-x4; 4 for resshift"),
        ("upscale", "--strength X", "0 to 2, default 1"),
        ("upscale", "--guidance X", "1 to 30, default 9 for sd-x4; 1 for sd-x2"),
        ("upscale", "--creativity {low,medium,high}", "guidance, strength and added noise of supir"),
        ("upscale", "--noise-level N", "0 to 350, default 20 for sd-x4"),
        ("upscale", "--colour-fix {wavelet,adain,none}, --color-fix {wavelet,adain,none}", "default wavelet for sd-x4"),
        ("upscale", "--quality N", "1 to 100, default 95 for JPEG, lossless for WebP"),
        ("benchmark", "--scale N", "2, 3, 4, 8; default 4"),
        ("benchmark", "--protocol {round-trip,chained-8x,no-original}", "default round-trip"),
        ("benchmark", "--kernel KERNEL[+jpegQ]", "as a JPEG of that quality (1 to 100)"),
        ("benchmark", "--repeats N", "0 to 1000, default 3"),
    ],
)
def test_ranges_and_defaults_are_said(
    command: str, option: str, said: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert said in list_entries(read_help(command, capsys, monkeypatch))[option]
