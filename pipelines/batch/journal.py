"""What a batch has made already: one line of JSON a file, in the folder of the results.

A line is written before its file gets its name, and holds the file's sha256. So there is no moment at which a file is
there that the journal knows nothing of, and a line whose file is missing, damaged or changed since counts for nothing.
The record in a PNG would not do: it says neither which image it was made of nor anything in WebP and JPEG, and a
result here is, byte for byte, what `upscale` makes of one image.

Nothing can be added to a file at an address, so there each result has a file of its own that says the same.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path, PurePath
from threading import Lock
from typing import Any, TypeAlias

from pipelines import files
from pipelines.errors import CannotWrite
from pipelines.images.addresses import Address, Place, find, list_below, put
from pipelines.phrasing import printable_name

NAME = ".upscale-bench.jsonl"  # of several that write at once, each has a file of its own beside it
NAMES = ".upscale-bench*.jsonl"
AT_ADDRESSES, ENDING = ".upscale-bench", ".json"  # the folder of what says so of each, and how its files end
ABOUT = b"What the results beside this folder were made of: by it, the same command of upscale-bench continues.\n"


@dataclass(frozen=True, slots=True)
class Entry:
    """A file that was made: of an image with that sha256, in the way that `made` says, with that content."""

    input_sha256: str
    made: Mapping[str, Any]
    bytes: int
    sha256: str


class Journal:
    """The files that batches made in a folder, by their paths below it. Threads may add and ask at once."""

    def __init__(self, folder: Path, writer: str = "") -> None:
        """Reads what is there; `writer` is the name of one of several that write at once. Raises CannotWrite."""
        self.folder, self._path = folder, folder / (f".upscale-bench.{writer}.jsonl" if writer else NAME)
        self._entries: dict[str, list[Entry]] = {}
        self._ways: dict[str, Mapping[str, Any]] = {}  # each `made` once: a folder's results are mostly made alike
        self._read: dict[Path, int] = {}
        self._adding = Lock()
        self.refresh()

    def __iter__(self) -> Iterator[Path]:
        return (self.folder / name for name in self._entries)

    def check(self) -> None:
        """Makes the folder. Raises CannotWrite."""
        files.make_folder(self.folder)

    def refresh(self) -> None:
        """Reads what was added since, by others too; a line that is damaged counts for nothing. Raises CannotWrite."""
        for path in sorted(self.folder.glob(NAMES)):
            try:
                with path.open("rb") as file:
                    file.seek(self._read.setdefault(path, 0))
                    for line in file:
                        if not line.endswith(b"\n"):
                            break  # somebody may be writing it
                        self._read[path] += len(line)
                        with suppress(ValueError, TypeError, AttributeError, RecursionError):
                            read = json.loads(line)
                            name = read.pop("file")
                            self._hold(name, Entry(**read))
            except OSError as error:
                raise CannotWrite(
                    f"{printable_name(self.folder)} cannot be continued: {path.name} cannot be read."
                ) from error

    def has(self, name: str, input_sha256: str, made: Mapping[str, Any]) -> bool:
        """Returns whether the file is there as it was written, made of that image in that way."""
        entries = [
            entry for entry in self._entries.get(name, ()) if entry.input_sha256 == input_sha256 and entry.made == made
        ]
        path = self.folder / name
        try:
            size = path.stat().st_size if entries else 0
            known = {entry.sha256 for entry in entries if entry.bytes == size}
            return bool(known) and files.sha256_of(path) in known
        except OSError:
            return False

    def add(self, name: str, entry: Entry) -> None:
        """Notes a file that is about to be written. Raises CannotWrite."""
        with self._adding:
            self._add(name, entry)

    def _add(self, name: str, entry: Entry) -> None:
        # A crash may have cut the last line short: this one begins anew. It is ASCII: a name that is no UTF-8 is
        # spelled out, and read back as it was.
        start = b"\n" if files.size_of(self._path) > self._read.get(self._path, 0) else b""
        data = start + json.dumps({"file": name, **asdict(entry)}).encode() + b"\n"
        files.append(self._path, data)
        self._read[self._path] = files.size_of(self._path)
        self._hold(name, entry)

    def _hold(self, name: str, entry: Entry) -> None:
        made = self._ways.setdefault(json.dumps(entry.made), entry.made)
        self._entries.setdefault(name, []).append(replace(entry, made=made))


class AddressJournal:
    """Does as `Journal` in a folder at an address. Several may write at once: a result is of one of them."""

    def __init__(self, folder: Address) -> None:
        """Asks nothing."""
        self.folder = folder

    def __iter__(self) -> Iterator[Address]:
        """The results that something is noted of, as far as the folder's list says."""
        names = list_below(self.folder / PurePath(AT_ADDRESSES))
        return (self.folder / PurePath(name.removesuffix(ENDING)) for name in names if name.endswith(ENDING))

    def check(self) -> None:
        """Writes what the notes are for: where that fails, so would every result. Raises CannotWrite."""
        put(self.folder / PurePath(AT_ADDRESSES, "README.txt"), ABOUT)

    def refresh(self) -> None:
        """Has nothing to read anew: each file is asked for."""

    def has(self, name: str, input_sha256: str, made: Mapping[str, Any]) -> bool:
        """See `Journal`. Raises CannotWrite where that cannot be told."""
        noted = find(self._note(name))
        with suppress(ValueError, TypeError, AttributeError, RecursionError):
            entry = Entry(**json.loads(noted or b""))
            if (entry.input_sha256, entry.made) == (input_sha256, made):
                found = find(self.folder / PurePath(name))
                return found is not None and hashlib.sha256(found).hexdigest() == entry.sha256
        return False

    def add(self, name: str, entry: Entry) -> None:
        """See `Journal`."""
        put(self._note(name), json.dumps(asdict(entry)).encode())

    def _note(self, name: str) -> Address:
        return self.folder / PurePath(AT_ADDRESSES, f"{name}{ENDING}")


AnyJournal: TypeAlias = Journal | AddressJournal


def open_journal(folder: Place, writer: str = "") -> AnyJournal:
    """The journal of a folder; `writer` as `Journal` has it. Raises CannotWrite."""
    return Journal(folder, writer) if isinstance(folder, Path) else AddressJournal(folder)
