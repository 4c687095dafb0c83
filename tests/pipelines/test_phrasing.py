"""How numbers and contenders are written."""

import hashlib
import math
from pathlib import Path

import pytest

from pipelines.networks.archs.estimate import CLASSES
from pipelines.networks.estimating import CAREFUL_QUALITY, Judged
from pipelines.phrasing import (
    LOW_QUALITY,
    contender_file_name,
    contender_name,
    describe_settings,
    format_bytes,
    format_download,
    format_duration,
    format_number,
    printable,
    printable_name,
    simplify_note,
)


def test_a_chain_is_said_in_words() -> None:
    assert contender_name("lapsrn") == "lapsrn"
    assert contender_name("real-esrgan:4,fsrcnn:2") == "real-esrgan x4 then fsrcnn x2"


@pytest.mark.parametrize(("value", "text"), [(33.666, "33.67"), (None, "–"), (math.inf, "∞"), (0.0, "0.00")])
def test_numbers(value: float | None, text: str) -> None:
    assert format_number(value, 2) == text


def test_durations_and_sizes() -> None:
    assert [format_duration(s) for s in (0.25, 2.06, 42.4, 300, 7150, 9000, 108_000, 540_000)] == [
        "0.25 s",
        "2.1 s",
        "42 s",
        "5 min",
        "119 min",
        "2.5 h",
        "30 h",
        "6 days",
    ]
    assert [format_bytes(size) for size in (86_000, 1_800_000, 40_000_000, 3_480_000_000)] == [
        *["86 kB", "1.8 MB", "40 MB", "3.5 GB"]
    ]


def test_a_short_time_is_not_rounded_up() -> None:
    assert [format_duration(s) for s in (0.0004, 0.004, 0.012)] == ["0.4 ms", "4 ms", "0.01 s"]


def test_a_size_that_nobody_has_said_is_not_0() -> None:
    assert [format_download(size) for size in (0, 67_000_000)] == ["a file of unknown size", "67 MB"]


def test_settings_are_one_line() -> None:
    """Prompts, which may be anything, stand in quotes; an empty one is none."""
    told = describe_settings({"tile": 64, "prompt": "a\nface", "colour_fix": "adain", "negative_prompt": "x " * 5000})
    assert told.startswith("tile 64, prompt “a face”, colour fix adain, negative prompt “x x") and len(told) < 300
    assert (
        describe_settings({"prompt": "", "guidance": 9.0, "scheduler": "DPM++ 2M"}) == "guidance 9, scheduler DPM++ 2M"
    )
    assert describe_settings({"prompt": "face"}) == "prompt “face”" and describe_settings({}) == ""


def test_settings_of_a_chain_are_told_by_stage() -> None:
    by_stage = {"sd-x4:4": {"prompt": "a fox", "seed": 7}, "espcn:2": {"tile": 64}}
    assert describe_settings(by_stage) == "sd-x4 x4: prompt “a fox”, seed 7; espcn x2: tile 64"


@pytest.mark.parametrize(
    ("judged", "told"),
    [
        *((Judged(kind, 100, 0), "Traces of earlier shrinking were removed") for kind in CLASSES),
        (Judged("antialiased", 78.2, 9), "JPEG artifacts were removed (quality about 78)"),
        (Judged("soft", 95, 0), "Traces of earlier shrinking were removed"),
        (Judged("soft", 95, 9), "Noise was removed"),
        (Judged("", 100, 0), "The image is too small to judge, so artifacts were removed"),
    ],
    ids=str,
)
def test_what_was_found_in_an_image_is_told_by_what_was_done(judged: Judged, told: str) -> None:
    """The notes are those of upscalers/judging.py."""
    found = judged.describe()
    assert simplify_note(f"{found}: artifacts are removed") == told
    assert simplify_note(f"{found}: cleaned up by 0.5") == "Noise and JPEG artifacts were removed (strength 0.5)"
    assert simplify_note(f"{found}: nothing to remove") == simplify_note(f"{found}: nothing to clean up") == ""
    assert LOW_QUALITY == CAREFUL_QUALITY


def test_settings_that_follow_from_the_image_are_not_told() -> None:
    for settings in ({"artifacts": "none"}, {"swift:4": {"artifacts": "none"}, "swift:2": {"artifacts": "remove"}}):
        assert simplify_note(f"settings: {describe_settings(settings)}") == ""
    for kept in ("settings: seed 0, steps 20", "settings: seed 0, artifacts none", "In 4 tiles.", "settings: tile 64"):
        assert simplify_note(kept) == kept


def test_a_key_becomes_a_part_of_a_files_name() -> None:
    chain = f"owner/name/nets/4x_a.pth:4,owner/name@{'c0de' * 10}/b.safetensors:2"
    first, second = (hashlib.sha256(stage.rpartition(":")[0].encode()).hexdigest()[:8] for stage in chain.split(","))
    told = f"owner-name-nets-4x_a.pth-{first}-x4_owner-name@{'c0de' * 10}-b.safetensors-{second}-x2"
    assert contender_file_name(chain) == told and contender_file_name("lapsrn:4,fsrcnn:2") == "lapsrn-x4_fsrcnn-x2"
    assert contender_file_name("lapsrn:4,fsrcnn:2 stage 1") == "lapsrn-x4_fsrcnn-x2-stage-1"


def test_no_two_files_on_the_hub_have_one_name() -> None:
    keys = ["a-b/c/x.pth", "a/b-c/x.pth", "a/b/c-x.pth", "a/b/c/x.pth", "a/b/c x.pth", "a/b/c(x.pth"]
    names = {contender_file_name(key) for key in keys}
    assert len(names) == len(keys) and not any(set(name) & set("/ (:,") for name in names)


def test_what_cannot_be_printed_is_shown_on_one_line() -> None:
    assert printable("a\nb\x1b\ud83d 犬") == "a?b?? 犬" and printable("") == ""


def test_a_name_is_shown_on_one_line() -> None:
    assert printable_name(Path("folder/a\nb\x1b.png")) == "a?b?.png" and printable_name(Path("/")) == "The folder"
    assert printable_name(Path("x" * 80)) == "x" * 80
    assert printable_name(Path("a" * 50 + "b" * 46 + ".png")) == "a" * 40 + "…" + "b" * 35 + ".png"
