"""The one store of what runs made: found again by an unguessable id, for as long as its files are kept.

The browser makes the id, with the click that starts the run, so that it knows it before the run has begun. What a run
shows is kept as the changes of the page's components, its files in folders of its own; so a page that was loaded anew
shows the same, whether the run is still going or has ended.
"""

import copy
import math
import re
import secrets
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gradio.blocks import Block
from gradio.utils import get_upload_folder

KEPT_SECONDS = 3600  # how long what visitors send and are given stays on the server, from when it was last in use
LOST_SECONDS = 90  # how long a browser's connection may be lost in the middle of a run
MOST_KEPT = 2000  # runs that are known at once; the oldest give way
KEY = re.compile("[0-9a-f]{32}")  # an id as browsers make it


@dataclass(eq=False, slots=True)
class Kept:
    """A run, what it was given, and what it shows so far. `session` is that whose event does the work."""

    id: str
    session: str
    give_again: Callable[[], Mapping[Block, Any]] = dict  # the changes that give a page the same inputs again
    shown: dict[Block, tuple[int, Any]] = field(default_factory=dict)  # each change with its number
    folders: list[Path] = field(default_factory=list)
    followers: set[object] = field(default_factory=set)
    number: int = 0  # of the newest change
    used: float = field(default_factory=time.monotonic)  # when it was last
    ended: bool = False
    cancelled: bool = False  # it is to end, or has
    partial: bool = False  # what there is of it is worth keeping though it is ended early
    lasting: bool = False  # it goes on though its page is closed: the page's address shows it again

    def note(self, changes: Mapping[Block, Any]) -> None:
        """Keeps what an event changes: of each component the newest."""
        if self.id in _begun:
            _begun[self.id] = True
        self.number += 1
        for block, value in changes.items():
            self.shown[block] = self.number, copy.copy(value)  # gradio takes things out of what it is given

    def since(self, number: int) -> dict[Block, Any]:
        """Returns what changed after the change of that number."""
        return {block: copy.copy(value) for block, (when, value) in tuple(self.shown.items()) if when > number}


_kept: dict[str, Kept] = {}
_begun: dict[str, bool] = {}  # ids of runs, also of those that are kept no longer: whether anything was shown of them
_cancelled: dict[str, None] = {}  # ids of runs that were cancelled before they began
_filling: ContextVar[Kept | None] = ContextVar("filling", default=None)


def begin(key: str, session: str, give_again: Callable[[], Mapping[Block, Any]] = dict) -> Kept:
    """Makes the place for a run that begins, under that id; under one of its own where that was used before, or is not
    as browsers make it.

    `session` is that whose event does the work; `give_again` is asked only by a page that was loaded anew.
    """
    for runs in (_kept, _begun):
        _make_room(runs)
    if not is_key(key) or has_begun(key):
        key = secrets.token_hex(16)
    kept = _kept[key] = Kept(key, session, give_again, cancelled=key in _cancelled)
    _begun[key] = False
    return kept


def cancel(key: str) -> None:
    """Has the run of that id end at its next step, or before its first one."""
    if (kept := find(key)) is not None:
        kept.cancelled = kept.cancelled or not kept.ended
    elif is_key(key) and not has_begun(key):
        _make_room(_cancelled)
        _cancelled[key] = None


def _make_room(runs: dict[str, Any]) -> None:
    for old in [*runs][: max(0, len(runs) - MOST_KEPT + 1)]:
        runs.pop(old, None)


def is_key(key: Any) -> bool:
    """Returns whether it may be a run's id."""
    return isinstance(key, str) and KEY.fullmatch(key) is not None


def has_begun(key: str) -> bool:
    """Returns whether a run of that id began, which may be kept no longer."""
    return key in _begun or key in _kept


def has_shown(key: str) -> bool:
    """Returns whether anything was shown of a run of that id, which may be kept no longer."""
    return _begun.get(key, False)


def end(kept: Kept) -> None:
    """Notes that the run has come to its end."""
    kept.used, kept.ended = time.monotonic(), True


def forget(kept: Kept) -> None:
    """Takes the run out of the store: it was ended before its end."""
    kept.cancelled = kept.ended = True
    _kept.pop(kept.id, None)


def find(key: str) -> Kept | None:
    """Returns the run of that id, going or ended; None where there is none, or its files are gone."""
    kept = _kept.get(key) if isinstance(key, str) else None
    if kept is None or (kept.ended and not all(folder.is_dir() for folder in kept.folders)):
        return None
    kept.used = time.monotonic()
    return kept


def find_showing(block: Block, value: Any) -> Kept | None:
    """Returns the newest run that left the component with that value; None where there is none, or its files are gone.

    The value of a file is as unguessable as the id.
    """
    found = (kept for kept in reversed([*_kept.values()]) if kept.shown.get(block, (0, None))[1] == value)
    kept = next(found, None)
    return None if kept is None else find(kept.id)


@contextmanager
def follow(kept: Kept) -> Iterator[None]:
    """Counts as listening to the run, so that it goes on though its own session is gone."""
    follower = object()
    kept.followers.add(follower)
    try:
        yield
    finally:
        kept.followers.discard(follower)


def find_patience(session: str) -> float | None:
    """Returns for how many seconds the run of a page's session goes on though its browser is not heard of; for ever
    where it is to outlast its page, or while somebody follows it from another session. None for a session without one.
    """
    runs = [kept for kept in tuple(_kept.values()) if kept.session == session and not kept.ended]
    if any(kept.followers or kept.lasting for kept in runs):
        return math.inf
    return LOST_SECONDS if runs else None


@contextmanager
def filling(kept: Kept) -> Iterator[None]:
    """Makes new folders the run's own."""
    token = _filling.set(kept)
    try:
        yield
    finally:
        _filling.reset(token)


def find_filled() -> Kept | None:
    """Returns the run whose work is being done, if one is."""
    return _filling.get()


def new_folder(kind: str = "result") -> Path:
    """A new folder among the files that gradio serves; it is kept with the run that makes it, if one does."""
    parent = Path(get_upload_folder())
    parent.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=f"{kind}-", dir=parent))
    if (kept := _filling.get()) is not None:
        kept.folders.append(folder)
    return folder


def forget_old(now: float) -> dict[Path, float]:
    """Takes runs out whose time is over; returns the folders of the others, each with when it was last in use."""
    for kept in [*_kept.values()]:
        if now - kept.used > KEPT_SECONDS and not kept.followers and kept.ended:
            _kept.pop(kept.id, None)
    return {folder: kept.used for kept in [*_kept.values()] for folder in kept.folders}
