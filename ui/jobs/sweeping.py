"""What visitors sent and were given is deleted when its time is over, and never while it is in use."""

import os
import shutil
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import gradio as gr

from pipelines import environment
from ui.jobs import results
from ui.jobs.own_folder import LOCK
from ui.jobs.results import KEPT_SECONDS

SWEEP_SECONDS = 60  # seconds between two looks

# Of all in the folder its last change, by the disk's clock, and when that was first seen, by time.monotonic: a clock
# that is set anew, or a laptop that slept, would make files old at once that a page still shows.
_seen: dict[Path, tuple[float, float]] = {}


def sweep(page: gr.Blocks, folder: Path) -> None:
    """Deletes what was not in use for KEPT_SECONDS from the page's folder, and of the rest the oldest beyond the limit.

    Each file or folder at the top of it is kept or deleted as a whole. What stays: the page's own files, whatever
    events that wait or run were given, and all that is newer than the oldest of these, since they may have made it.
    """
    now = time.monotonic()
    events = [*page._queue.event_ids_to_events.values()]
    oldest = min((event.enqueue_time for event in events), default=now)
    given = _find_tops(folder, (each for event in events if event.data for each in _list_paths(event.data.data)))
    for path in given:
        with suppress(OSError):
            os.utime(path)  # it has its whole time again once the event is over
    safe = given | _find_tops(folder, (file for each in page.blocks.values() for file in _list_own(each)))
    times = results.forget_old(now)
    found = [
        (max(since, times.get(path, since)), changed, size, path) for since, changed, size, path in _date(folder, now)
    ]
    excess = sum(size for *_, size, _ in found) - environment.most_held_bytes()
    for used, _, size, path in sorted(found):
        if path not in safe and used < oldest and (now - used > KEPT_SECONDS or excess > 0):
            shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink(missing_ok=True)
            excess -= size
    for names in page.temp_file_sets:  # gradio's own notes of files would grow for ever
        names -= {name for name in tuple(names) if not os.path.lexists(name)}


def measure_held(folder: Path) -> int:
    """Returns how many bytes there are of what visitors sent and were given."""
    return sum(size for _, size, _ in _measure(folder))


def _date(folder: Path, now: float) -> list[tuple[float, float, int, Path]]:
    """Returns all at the top of the folder: since when it is as it is, its last change, its bytes, and where it is."""
    found, before = [*_measure(folder)], dict(_seen)
    _seen.clear()
    for changed, _, path in found:
        seen = before.get(path)
        _seen[path] = seen if seen is not None and seen[0] == changed else (changed, now)
    return [(_seen[path][1], changed, size, path) for changed, size, path in found]


def _list_own(component: object) -> Iterator[str]:
    """Gives the files that the page shows before anyone clicks, as gradio notes them."""
    yield from getattr(component, "keep_in_cache", ())


def _measure(folder: Path) -> Iterator[tuple[float, int, Path]]:
    """Gives all at the top of the folder: when it was last written or touched, its bytes, and where it is."""
    for path in folder.iterdir():
        if path.name == LOCK:
            continue
        with suppress(FileNotFoundError):  # it is being deleted
            states = [each.lstat() for each in (path, *(path.rglob("*") if path.is_dir() else ()))]
            # Not st_mtime, which a copy takes from what it was made of.
            yield max(state.st_ctime for state in states), sum(state.st_size for state in states), path


def _list_paths(value: Any) -> Iterator[str]:
    """Gives the paths of all files in an event's inputs, as gradio's clients write them."""
    if isinstance(value, dict):
        if isinstance(path := value.get("path"), str):
            yield path
        value = [*value.values()]
    if isinstance(value, list):
        for each in value:
            yield from _list_paths(each)


def _find_tops(folder: Path, files: Iterator[str]) -> set[Path]:
    """Returns what at the top of the folder is one of these files, or holds one."""
    parts = (os.path.relpath(file, folder).split(os.sep) for file in files if "\0" not in file)
    return {folder / first for first, *_ in parts if first not in (os.pardir, os.curdir)}
