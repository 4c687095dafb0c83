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


def sweep(page: gr.Blocks, folder: Path) -> None:
    """Deletes what was not in use for KEPT_SECONDS from the page's folder, and of the rest the oldest beyond the limit.

    Each file or folder at the top of it is kept or deleted as a whole. What stays: the page's own files, whatever
    events that wait or run were given, and all that is newer than the oldest of these, since they may have made it.
    """
    now, ticks = time.time(), time.monotonic()
    events = [*page._queue.event_ids_to_events.values()]
    oldest = min((now - (ticks - event.enqueue_time) for event in events), default=now)
    given = _find_tops(folder, (each for event in events if event.data for each in _list_paths(event.data.data)))
    for path in given:
        with suppress(OSError):
            os.utime(path)  # it has its whole time again once the event is over
    safe = given | _find_tops(folder, (file for each in page.blocks.values() for file in _list_own(each)))
    times = results.forget_old(now)
    found = [(max(used, times.get(path, 0)), size, path) for used, size, path in _measure(folder)]
    excess = sum(size for _, size, _ in found) - environment.most_held_bytes()
    for used, size, path in sorted(found):
        if path not in safe and used < oldest and (now - used > KEPT_SECONDS or excess > 0):
            shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink(missing_ok=True)
            excess -= size
    for names in page.temp_file_sets:  # gradio's own notes of files would grow for ever
        names -= {name for name in tuple(names) if not os.path.lexists(name)}


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
