"""A file of weights by its own address on the web, which somebody named.

It is kept with what visitors name (visitors.py), in a folder of its own, and is as large as the server says, up to the
limits there.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import urlsplit

from pipelines.catalog.schema import Direct, File
from pipelines.runs import Run, Step
from pipelines.weights import public, visitors
from pipelines.weights.download import STALL_SECONDS, MakeStep, ask_server, download
from pipelines.weights.refusals import Refused, Unreachable, describe_status
from pipelines.weights.sources import Offer


@dataclass(frozen=True, slots=True)
class DirectSource:
    """One address, which has no commits and no other files."""

    at: Direct

    @property
    def label(self) -> str:
        """The host."""
        return self.host

    @property
    def origin(self) -> str:
        """The host."""
        return self.host

    @property
    def host(self) -> str:
        """The address's host and port."""
        return urlsplit(self.at.url).netloc

    @property
    def cache(self) -> Path:
        """Where what visitors name is kept."""
        return visitors.folder()

    @property
    def folder_name(self) -> str:
        """Empty: an address names no folder."""
        return ""

    def cached(self, file: File) -> Path | None:
        """Returns where an earlier download left the file, if it did."""
        return find_kept(place_of(self.at.url, file))

    def survey(self, files: Sequence[File], patience: float, report: MakeStep) -> Run[Offer]:
        """Returns what the row says: there is one file, and `pull` asks how large it is."""
        yield from ()
        return Offer(None, tuple(file.size for file in files), sum(file.size for file in files))

    def pull(self, file: File, patience: float, report: MakeStep, commit: str | None = None) -> Run[Path]:
        """Asks how large the file is, and brings it."""
        size = yield from ask_server(lambda: _ask_size(self.at.url, patience), patience, lambda: report(0, "asking"))
        whole = replace(file, size=size)
        return (yield from pull_to(self.at.url, place_of(self.at.url, file), whole, patience, report))


def place_of(name: str, file: File) -> Path:
    """Where a file is kept that was named so: in a folder of its own, as `visitors` has them."""
    return visitors.folder() / f"named--{hashlib.sha256(name.encode()).hexdigest()[:16]}" / "blobs" / file.name


def find_kept(path: Path) -> Path | None:
    """Returns the path where there is a file, and notes that it is used."""
    if not path.is_file():
        return None
    visitors.mark_used(path)
    return path


def pull_to(url: str, target: Path, file: File, patience: float, report: MakeStep) -> Run[Path]:
    """Brings a file of known size to its place, where there is room for it."""
    visitors.check_size(file.size)
    visitors.make_room(target, file.size)

    def step(done: int, note: str) -> Step:
        made = report(done, note)
        return replace(made, total=max(made.total, file.size))

    lock = visitors.folder() / ".locks" / f"{target.parents[1].name}.lock"
    yield from download(url, {}, target, lock, file, patience, step, times=1, only_public=True)
    return target


def _ask_size(url: str, patience: float) -> int:
    """Bytes that the server says the file has. Raises Refused."""
    import httpx2

    timeout = httpx2.Timeout(2 * patience, read=2 * STALL_SECONDS)
    hooks = {"request": [public.check_request]}
    try:
        with httpx2.Client(timeout=timeout, follow_redirects=True, trust_env=False, event_hooks=hooks) as client:
            answer = client.head(url, headers={"Accept-Encoding": "identity"})
    except httpx2.RequestError as error:
        raise Unreachable from error
    if answer.status_code != httpx2.codes.OK:
        raise Refused(describe_status(answer.status_code))
    length = answer.headers.get("Content-Length", "")
    if not length.isdecimal() or not int(length):
        raise Refused("does not say how large the file is")
    return int(length)
