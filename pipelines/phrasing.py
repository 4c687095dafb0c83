"""How numbers and contenders are written for a reader: the same in the verdict, the plot and the report."""

import hashlib
import math
import re
from collections.abc import Collection, Mapping
from typing import Any, Protocol

LOW_QUALITY = 88  # of JPEG: from here on networks/estimating.py takes its traces for no matter
LONGEST_PROMPT_SHOWN = 200  # characters
LONGEST_NAME_SHOWN = 80  # characters
MOST_LISTED, LONGEST_LISTED = 3, 60  # names in one message, and characters of each

# What upscalers/judging.py notes: "JPEG 78, soft, noise of 9 levels: artifacts are removed".
_JUDGED = re.compile(
    r"(?:JPEG (?P<quality>\d+), )?(?P<kind>antialiased|averaged|not antialiased|pixels left out|soft|too small to tell)"
    r"(?P<noise>, noise of \d+ levels)?: "
    r"(?:nothing to remove|nothing to clean up|(?P<removed>artifacts are removed)|cleaned up by (?P<strength>[\d.]+))"
)
_FOLLOWING = re.compile(r"settings:(?: (?:[^ ;]+ x\d+: )?artifacts (?:none|remove|auto);?)+")


def contender_name(model: str) -> str:
    """A row's model as one says it: "lapsrn", or "lapsrn x4 then fsrcnn x2" for the chain "lapsrn:4,fsrcnn:2"."""
    return " then ".join(stage.replace(":", " x") for stage in model.split(","))


def contender_file_name(model: str) -> str:
    """A row's model as part of a file's name: "lapsrn-x4_fsrcnn-x2" for the chain "lapsrn:4,fsrcnn:2".

    The key of a file on the Hub is followed by the start of its sha256: without its slashes it could be another's.
    """
    return "_".join(map(_stage_name, model.split(",")))


def _stage_name(stage: str) -> str:
    key, colon, scale = stage.partition(":")
    if "/" in key:
        plain = re.sub(r"[^\w.@+-]", "-", key)
        key = f"{plain}-{hashlib.sha256(key.encode()).hexdigest()[:8]}"
    return f"{key}{'-x' if colon else ''}{scale}".replace(" ", "-")


def printable(text: str) -> str:
    """The text fit for one line: "?" in place of each character that cannot be printed, as a line break cannot."""
    return "".join(character if character.isprintable() else "?" for character in text)


class Named(Protocol):
    """A path, or whatever else has a name."""

    @property
    def name(self) -> str:
        """Returns the base name."""


def printable_name(path: Named) -> str:
    """The base name fit for one line: of a long one the beginning and the end."""
    name, half = printable(path.name) or "The folder", LONGEST_NAME_SHOWN // 2
    return name if len(name) <= LONGEST_NAME_SHOWN else f"{name[:half]}…{name[1 - half :]}"


def list_names(names: Collection[str]) -> str:
    """Returns some of the names, in their order and fit for one line: "a, b, c and 4 more"."""
    listed = ", ".join(printable(name[:LONGEST_LISTED]) for name in sorted(names)[:MOST_LISTED])
    return f"{listed} and {len(names) - MOST_LISTED} more" if len(names) > MOST_LISTED else listed


def format_number(value: float | None, digits: int) -> str:
    """Returns the number with so many decimals; infinity is "∞", and a missing one "–"."""
    if value is None:
        return "–"
    return f"{value:.{digits}f}" if math.isfinite(value) else "∞"


def format_duration(seconds: float) -> str:
    """Seconds to read: "0.4 ms", "4 ms", "0.03 s", "2.1 s", "12 s", "4 min", "2.5 h", "30 h", "6 days"."""
    if seconds < 0.01:
        return f"{1000 * seconds:.{1 if seconds < 0.001 else 0}f} ms"
    if seconds < 1:
        return f"{seconds:.2f} s"
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 7200:
        return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"
    hours = seconds / 3600
    if hours < 48:
        return f"{hours:.1f} h" if hours < 10 else f"{hours:.0f} h"
    return f"{hours / 24:.0f} days"


def format_bytes(size: int) -> str:
    """A number of bytes to read: "3.5 GB", "67 MB", "1.2 MB", "31 kB"."""
    if size >= 1_000_000_000:
        return f"{size / 1e9:.1f} GB"
    if size < 100_000:
        return f"{size / 1e3:.0f} kB"
    return f"{size / 1e6:.0f} MB" if size >= 10_000_000 else f"{size / 1e6:.1f} MB"


def format_download(size: int) -> str:
    """Returns the size of a download to read: a number of bytes, 0 where nobody has said it yet."""
    return format_bytes(size) if size else "a file of unknown size"


def simplify_note(note: str) -> str:
    """Returns a run's note for who wants the result alone: of what a model found in the image what was done about it.

    "" where nothing was, and for the settings that followed from it. Any other note stays as it is.
    """
    if _FOLLOWING.fullmatch(note):
        return ""
    judged = _JUDGED.fullmatch(note)
    if not judged:
        return note
    if judged["strength"]:
        return f"Noise and JPEG artifacts were removed (strength {judged['strength']})"
    if not judged["removed"]:
        return ""
    if judged["quality"] and int(judged["quality"]) <= LOW_QUALITY:
        return f"JPEG artifacts were removed (quality about {judged['quality']})"
    if judged["noise"]:
        return "Noise was removed"
    if judged["kind"] == "too small to tell":
        return "The image is too small to judge, so artifacts were removed"
    return "Traces of earlier shrinking were removed"


def describe_settings(settings: Mapping[str, Any]) -> str:
    """Settings to read: "tile 64, prompt “a face”, noise level 20"; of a long prompt the beginning, of none nothing.

    Those of a chain are listed by stage: "sd-x4 x4: seed 7; espcn x2: tile 64".
    """
    if any(isinstance(value, Mapping) for value in settings.values()):
        return "; ".join(f"{contender_name(stage)}: {describe_settings(values)}" for stage, values in settings.items())
    given = {name: value for name, value in settings.items() if value != ""}
    return ", ".join(f"{name.replace('_', ' ')} {_value(name, value)}" for name, value in given.items())


def _value(name: str, value: Any) -> str:
    if isinstance(value, float):
        return f"{value:g}"
    if not isinstance(value, str) or not name.endswith("prompt"):
        return str(value)
    line = " ".join(value.split())
    return f"“{line if len(line) <= LONGEST_PROMPT_SHOWN else line[:LONGEST_PROMPT_SHOWN] + '…'}”"
