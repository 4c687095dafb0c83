"""OpenModelDB's list of models that people trained and give away, as it lies here once it was downloaded.

What the list at https://openmodeldb.info says of a model is said before it is run: its scale, licence and size. Asks no
network: `weights/openmodeldb.py` brings the list.
"""

import difflib
import json
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pipelines.catalog.schema import NAMED_SCALES, TILED, File, Model, OpenModelDb, Weights
from pipelines.errors import BadSetting

PREFIX = "omdb/"
SITE = "https://openmodeldb.info"
MOST_FOUND = 20  # models that a search lists
READ = ("safetensors", "pth", "pt")  # kinds of files, the best one first
# Hosts that give a file to a program. Others show a page that wants a browser.
SCHEME = "https://"
HOSTS = ("github.com", "raw.githubusercontent.com", "huggingface.co", ".oraclecloud.com")

_NAME = re.compile(r"[\w.+()-]{1,120}", re.ASCII)
_read: dict[tuple[str, int, int], Mapping[str, "Entry"]] = {}  # by path, time of change and size; the last one alone


@dataclass(frozen=True, slots=True)
class Entry:
    """A model of the list: what is known of it, and of the one of its files that is read here."""

    name: str
    author: str
    scale: int
    architecture: str
    licence: str
    about: str  # what a search looks into, in small letters: all that is said of it, its description's beginning
    suffix: str
    size: int  # bytes
    sha256: str
    urls: tuple[str, ...]

    @property
    def page(self) -> str:
        """The address of its page."""
        return f"{SITE}/models/{self.name}"

    @property
    def commercial(self) -> bool:
        """Returns whether its licence is known, and allows commercial use."""
        return bool(self.licence) and "-NC" not in self.licence

    @property
    def file(self) -> File:
        """The file, pinned."""
        return File(f"{self.name}.{self.suffix}", self.size, self.sha256)

    def loadable(self, hosts: Iterable[str]) -> tuple[str, ...]:
        """Its addresses on hosts that give a file to a program, those of `hosts` included."""
        return tuple(url for url in self.urls if gives_files(url, hosts))


def gives_files(url: str, hosts: Iterable[str]) -> bool:
    """Returns whether the address is on one of HOSTS or of these; "*" stands for all, ".name" for all below a name."""
    host = (urlsplit(url).hostname or "").lower()
    known = {*HOSTS, *hosts}
    return "*" in known or any(host == each.lstrip(".") or (each[:1] == "." and host.endswith(each)) for each in known)


def list_path() -> Path:
    """Where the list lies once it is here: beside what comes from URLs, which HF_HOME moves."""
    from huggingface_hub import constants

    return Path(constants.HF_ASSETS_CACHE) / "upscale-bench" / "openmodeldb" / "models.json"


def read_list() -> Mapping[str, Entry]:
    """The models of the list by their names; none where it is not here, or is not what it should be."""
    path = list_path()
    try:
        stat = path.stat()
        key = (os.fspath(path), stat.st_mtime_ns, stat.st_size)
        if key not in _read:
            found = parse_list(path.read_bytes())
            _read.clear()
            _read[key] = found
        return _read[key]
    except (OSError, ValueError):
        return {}


def parse_list(content: bytes) -> Mapping[str, Entry]:
    """The models in the list's JSON that have a file that torch or safetensors wrote. Raises ValueError for no list."""
    try:
        listed = json.loads(content)
    except RecursionError as error:
        raise ValueError("it is nested too deep") from error
    if not isinstance(listed, dict):
        raise ValueError("it is no table of models")
    found = {}
    for name, told in listed.items():
        if _NAME.fullmatch(name) and isinstance(told, dict) and (entry := _entry(name, told)):
            found[name] = entry
    return found


def _entry(name: str, told: Mapping[str, Any]) -> Entry | None:
    """What a model of the list is; None where it has no file to read, or is said in another way than was known."""
    try:
        files = [each for each in told["resources"] if each["platform"] == "pytorch" and each["type"] in READ]
        best = min(
            files, key=lambda each: (not any(gives_files(url, ()) for url in each["urls"]), READ.index(each["type"]))
        )
        authors = told.get("author") or "somebody"
        return Entry(
            name=name,
            author=authors if isinstance(authors, str) else ", ".join(authors),
            scale=int(told["scale"]),
            architecture=str(told["architecture"]),
            licence=str(told.get("license") or ""),
            about=" ".join(
                (
                    name,
                    authors if isinstance(authors, str) else " ".join(authors),
                    str(told["architecture"]),
                    *map(str, told.get("tags") or ()),
                    str(told.get("description") or "")[:500],
                )
            ).lower(),
            suffix=best["type"],
            size=int(best["size"] or 0),
            sha256=_sha256(best["sha256"]),
            urls=tuple(_direct(url) for url in best["urls"] if str(url).startswith(SCHEME)),
        )
    except (KeyError, TypeError, ValueError):
        return None


def _sha256(text: str) -> str:
    if not re.fullmatch("[0-9a-f]{64}", text):
        raise ValueError("it has no hash")
    return text


def _direct(url: str) -> str:
    """The address of a file where the list has that of its page."""
    if re.match(r"https://(huggingface\.co|github\.com)/", url):
        url = url.replace("/blob/", "/resolve/" if "huggingface.co" in url else "/raw/", 1)
    return url


def find_model(key: str) -> Model:
    """The row for "omdb/NAME", with what the list says of it; without a list any scale may be asked for.

    Raises BadSetting for a name that the list does not have, with those that are like it.
    """
    name = key.removeprefix(PREFIX)
    if not _NAME.fullmatch(name):
        raise BadSetting(f"{key[:60]!r} names no model of OpenModelDB: write omdb/ and the name in its page's address.")
    entries = read_list()
    if not entries:
        return _row(
            name, File(name, 0), NAMED_SCALES, "see its page on OpenModelDB", False, f"See {SITE}/models/{name}."
        )
    if name not in entries:
        raise BadSetting(
            f"OpenModelDB has no model {name!r} with a file that can be read{describe_near(name, entries)}."
        )
    entry = entries[name]
    note = f"{entry.architecture} by {entry.author}, from OpenModelDB."
    return _row(name, entry.file, (entry.scale,), entry.licence or "none named", entry.commercial, note)


def _row(name: str, file: File, scales: tuple[int, ...], licence: str, commercial: bool, note: str) -> Model:
    weights = Weights((file,), (OpenModelDb(name),), anywhere=False)
    return Model(
        key=PREFIX + name,
        name=name,
        family="gan",
        engine="network",
        scales=dict.fromkeys(scales, weights),
        licence=licence,
        commercial=commercial,
        note=note,
        takes=TILED,
    )


def describe_near(name: str, entries: Iterable[str]) -> str:
    """Names that are like it, as a message goes on: "; near ones are a, b"; nothing where none is."""
    folded = {each.lower(): each for each in entries}
    near = difflib.get_close_matches(name.lower(), folded, n=3, cutoff=0.5)
    return f"; near ones are {', '.join(folded[each] for each in near)}" if near else ""


def search(text: str) -> list[Entry]:
    """The models of the list with all of these words, in any case: first those with them in their names.

    At most MOST_FOUND; none where the list is not here.
    """
    words = text.lower().split()
    ranked = []
    for entry in read_list().values():
        if words and all(word in entry.about for word in words):
            name = entry.name.lower()
            ranked.append((-sum(word in name for word in words), name, entry))
    return [entry for *_, entry in sorted(ranked, key=lambda each: each[:2])[:MOST_FOUND]]
