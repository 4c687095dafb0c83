"""Which files of a folder are images, told by their names; and in words, what was passed over."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Literal, TypeAlias

from pipelines.images.addresses import Inside, Place
from pipelines.phrasing import printable_name

IMAGE_SUFFIXES = frozenset(
    {".png", ".apng", ".jpg", ".jpeg", ".jpe", ".jfif", ".webp", ".tif", ".tiff", ".bmp", ".dib", ".gif", ".avif"}
    | {".heic", ".heif", ".hif"}
)
# What a network disk and macOS's archives keep beside images, thumbnails among it.
SYSTEM_FOLDERS = frozenset({"@eaDir", "__MACOSX"})
Reason: TypeAlias = Literal[
    "hidden",
    "not named as images are",
    "not files",
    "the same image as another",
    "folders (--recursive looks into them)",
    "links to folders",
    "kept by a system",
    "archives within an archive",
    "not readable",
    "results of this command",
]


@dataclass(frozen=True, slots=True)
class PassedOver:
    """What was named, or lies in a folder that was, and is left alone; `same_as` is the image that it repeats."""

    path: Place
    reason: Reason
    same_as: Place | None = None


def describe_passed_over(others: Sequence[PassedOver]) -> list[str]:
    """Returns a sentence for each reason, with the first files that it is true of."""
    lines = [
        f"{printable_name(each.path)} is the same image as {printable_name(each.same_as)}: it is counted once."
        for each in others
        if each.same_as is not None
    ]
    for reason in dict.fromkeys(each.reason for each in others if each.same_as is None):
        names = [printable_name(each.path) for each in others if each.reason == reason]
        more = len(names) - 1
        also = f" and {more} {'other' if more == 1 else 'others'}" if more else ""
        lines.append(f"Left out, {reason}: {names[0]}{also}.")
    return lines


def reason_against(file: Path) -> Reason | None:
    """Returns why what lies in a folder is not an image to take from it; None if it may be one."""
    return _reason_against(file.name, file.is_file())  # which a folder is not, a pipe, nor a link that leads nowhere


def reason_against_address(inside: Inside) -> Reason | None:
    """Does as `reason_against`, for what lies in a folder at an address."""
    return _reason_against(inside.address.name, not inside.is_folder)


def _reason_against(name: str, is_file: bool) -> Reason | None:
    if name.startswith("."):
        return "hidden"
    if not is_file:
        return "not files"
    return None if PurePosixPath(name).suffix.lower() in IMAGE_SUFFIXES else "not named as images are"
