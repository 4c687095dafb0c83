"""The places that publish weights: what each of them can do, and a web folder as the simplest one.

The row in the catalog says which place is meant, as plain data; kinds.py has the class here for each kind of it. What
comes from a URL lies in the assets folder beside the Hub's cache. HF_HOME moves both.
"""

import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeVar
from urllib.parse import quote, urlsplit

from pipelines.catalog.schema import File, Url
from pipelines.files import size_of
from pipelines.runs import Run
from pipelines.weights.download import MakeStep, download, incomplete_path
from pipelines.weights.refusals import Unreachable

T = TypeVar("T")

UNREACHABLE_SECONDS = 30.0  # long enough for the rows of one command, and for a visitor's clicks

_unreachable: dict[str, float] = {}  # host -> the time until which it is not asked again


@dataclass(frozen=True, slots=True)
class Offer:
    """What a source has of several files: the commit that it has them at, and how large they are."""

    commit: str | None  # None where the source has no commits
    sizes: tuple[int, ...]  # bytes of each file
    to_come: int  # bytes of all that is not here yet


class Source(Protocol):
    """A place that publishes weights: how a file is had from it, and where it lies once it has come.

    `survey` and `pull` raise Refused, in words that follow the label; within `patience` seconds of silence Unreachable.
    Their steps are made by `report` from the bytes of the file that are here and a note.
    """

    @property
    def label(self) -> str:
        """The place in a message, before what is wrong with it: "Hub owner/name"."""

    @property
    def origin(self) -> str:
        """Returns what a report calls a file that was found cached: "Hub cache", or the label."""

    @property
    def host(self) -> str:
        """The host to ask, with its port: what is unreachable for one source is so for all of the same host."""

    @property
    def cache(self) -> Path:
        """The folder below which what comes from here is kept."""

    @property
    def folder_name(self) -> str:
        """Returns what a folder with a copy of all its files is usually called; empty where there is no such name."""

    def cached(self, file: File) -> Path | None:
        """Returns where an earlier download from here left the file, if it did. Asks no network."""

    def survey(self, files: Sequence[File], patience: float, report: MakeStep) -> Run[Offer]:
        """Asks for all of the files before a byte of one is downloaded; what is cached is not asked for."""

    def pull(self, file: File, patience: float, report: MakeStep, commit: str | None = None) -> Run[Path]:
        """Downloads the file into its cache, as it was at that commit; without one as the source is pinned.

        Raises OSError when it cannot be stored.
        """


@dataclass(frozen=True, slots=True)
class UrlSource:
    """A web folder, which has no commits and says nothing of its files."""

    at: Url

    @property
    def label(self) -> str:
        """The host and the first two folders of the URL."""
        url = urlsplit(self.at.base)
        return "/".join([url.netloc, *url.path.strip("/").split("/")[:2]]).rstrip("/")

    @property
    def origin(self) -> str:
        """The label: its files lie in a folder of its own."""
        return self.label

    @property
    def host(self) -> str:
        """The URL's host and port."""
        return urlsplit(self.at.base).netloc

    @property
    def cache(self) -> Path:
        """The assets folder of huggingface_hub, which HF_HOME moves."""
        from huggingface_hub import constants

        return Path(constants.HF_ASSETS_CACHE)

    @property
    def folder_name(self) -> str:
        """Empty: such a URL ends in a commit or a release, which names no model."""
        return ""

    def cached(self, file: File) -> Path | None:
        """Returns where the file lies, if it does."""
        path = self._target(file)
        return path if path.is_file() else None

    def survey(self, files: Sequence[File], patience: float, report: MakeStep) -> Run[Offer]:
        """Returns the sizes in the catalog, without a question: the folder could only be asked file by file."""
        lacking = [file for file in files if self.cached(file) is None]
        to_come = sum(file.size - size_of(incomplete_path(self._target(file))) for file in lacking)
        yield from ()
        return Offer(None, tuple(file.size for file in files), max(0, to_come))

    def pull(self, file: File, patience: float, report: MakeStep, commit: str | None = None) -> Run[Path]:
        """Downloads the file by its URL."""
        target = self._target(file)
        url = f"{self.at.base.rstrip('/')}/{quote(file.path)}"
        yield from download(url, {}, target, target.with_name(f"{target.name}.lock"), file, patience, report)
        return target

    def _target(self, file: File) -> Path:
        url = urlsplit(self.at.base)
        folder = re.sub(r"[^\w.-]+", "--", url.netloc + url.path.rstrip("/"))
        return self.cache / "upscale-bench" / "weights" / folder / file.path


def is_offline() -> bool:
    """Returns whether HF_HUB_OFFLINE forbids downloads. It is meant for all of them, not only for the Hub's."""
    from huggingface_hub import constants

    return constants.is_offline_mode()


def was_unreachable(host: str) -> bool:
    """Returns whether the host did not answer a moment ago."""
    return time.monotonic() < _unreachable.get(host, 0.0)


def reach(host: str, run: Run[T]) -> Run[T]:
    """Goes on with the run, unless the host that it asks was found unreachable a moment ago; notes whether it is now.

    So nobody waits twice for the same host. Raises Unreachable, and what the run raises.
    """
    if was_unreachable(host):
        raise Unreachable
    try:
        return (yield from run)
    except Unreachable:
        _unreachable[host] = time.monotonic() + UNREACHABLE_SECONDS
        raise
