"""OpenModelDB as a source: its list is brought and kept, and says where a model's file lies and what its hash is."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from pipelines import environment
from pipelines.catalog import openmodeldb as catalog
from pipelines.catalog.openmodeldb import Entry
from pipelines.catalog.schema import File, OpenModelDb
from pipelines.errors import WeightsUnavailable
from pipelines.runs import Run, Step
from pipelines.weights import visitors
from pipelines.weights.direct import find_kept, place_of, pull_to
from pipelines.weights.download import MakeStep, download
from pipelines.weights.refusals import Refused
from pipelines.weights.sources import Offer, is_offline

LIST = "/api/v1/models.json"
LIST_BYTES = 20_000_000  # at most; it had 1.3 MB in 2026
FRESH_SECONDS = 24 * 3600.0  # that a list counts as new
LIST_PATIENCE = 4.5  # seconds


@dataclass(frozen=True, slots=True)
class OpenModelDbSource:
    """One model of OpenModelDB."""

    at: OpenModelDb

    @property
    def label(self) -> str:
        """The database and the model: "OpenModelDB 4x-Name"."""
        return f"OpenModelDB {self.at.name}"

    @property
    def origin(self) -> str:
        """The label: its file lies in a folder of its own."""
        return self.label

    @property
    def host(self) -> str:
        """The host of the list, with its port."""
        return urlsplit(environment.openmodeldb()).netloc

    @property
    def cache(self) -> Path:
        """Where what visitors name is kept."""
        return visitors.folder()

    @property
    def folder_name(self) -> str:
        """Empty: nobody has a folder of its models."""
        return ""

    def cached(self, file: File) -> Path | None:
        """Returns where an earlier download left the file, if it did."""
        entry = catalog.read_list().get(self.at.name)
        return find_kept(place_of(self.label, entry.file if entry else file))

    def survey(self, files: Sequence[File], patience: float, report: MakeStep) -> Run[Offer]:
        """Returns what the row says: each model has one file here."""
        yield from ()
        return Offer(None, tuple(file.size for file in files), sum(file.size for file in files))

    def pull(self, file: File, patience: float, report: MakeStep, commit: str | None = None) -> Run[Path]:
        """Brings the list where it is not here, and the file from the first of its addresses that gives it."""
        entries = catalog.read_list() or (yield from bring_list(patience, report))
        entry = entries.get(self.at.name)
        if entry is None:
            near = catalog.describe_near(self.at.name, entries)
            raise Refused(f"is not in its list, or has no file that can be read{near}")
        urls = entry.loadable(environment.model_hosts())
        if not urls:
            raise Refused(_explain_browser(entry))
        tried = []
        for url in urls:
            try:
                target = place_of(self.label, entry.file)
                return (yield from pull_to(url, target, entry.file, patience, report))
            except Refused as error:
                tried.append(f"({urlsplit(url).netloc}) {error}")
        raise Refused("; ".join(tried))


def bring_list(patience: float, report: MakeStep) -> Run[Mapping[str, Entry]]:
    """Downloads the list, and returns its models. What is no list is not kept. Raises Refused."""
    path = catalog.list_path()
    fresh = path.with_name("new.json")
    fresh.unlink(missing_ok=True)
    listing = File("OpenModelDB's list", LIST_BYTES)
    url = f"{environment.openmodeldb()}{LIST}"
    yield from download(url, {}, fresh, path.with_name("list.lock"), listing, patience, report, times=1)
    try:
        entries = catalog.parse_list(fresh.read_bytes())
    except ValueError as error:
        fresh.unlink(missing_ok=True)
        raise Refused(f"gives no list of models ({error})") from error
    fresh.replace(path)
    return entries


def refresh_list() -> Run[None]:
    """Brings the list where it is not here or a day old. An old one does where a new one is unavailable.

    Raises WeightsUnavailable where there is none at all.
    """
    path = catalog.list_path()
    here = bool(catalog.read_list())
    if here and time.time() - path.stat().st_mtime < FRESH_SECONDS:
        return
    if is_offline():
        if here:
            return
        raise WeightsUnavailable("OpenModelDB's list is not here, and HF_HUB_OFFLINE is set.")
    try:
        yield from bring_list(LIST_PATIENCE, lambda done, note: Step(done, max(LIST_BYTES, done), note))
    except (Refused, OSError) as error:
        if not here:
            place = environment.openmodeldb()
            raise WeightsUnavailable(f"OpenModelDB's list is unavailable: {place} {error}.") from error


def _explain_browser(entry: Entry) -> str:
    """Why no program can have its file, and how a person can."""
    if not entry.urls:
        return f"has no https address for its file: see {entry.page}"
    hosts = ", ".join(dict.fromkeys(urlsplit(url).hostname or "" for url in entry.urls))
    return f"has its file on {hosts}, which needs a browser: download {entry.urls[0]} and give it with --weights"
