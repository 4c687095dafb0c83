"""What a batch has made already: one line of JSON a file, in the folder of the results.

A line is written before its file gets its name, and holds the file's sha256. So there is no moment at which a file is
there that the journal knows nothing of, and a line whose file is missing, damaged or changed since counts for nothing.
The record in a PNG would not do: it says neither which image it was made of nor anything in WebP and JPEG, and a
result here is, byte for byte, what `upscale` makes of one image.
"""

import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipelines import files
from pipelines.errors import CannotWrite
from pipelines.phrasing import printable_name

NAME = ".upscale-bench.jsonl"


@dataclass(frozen=True, slots=True)
class Entry:
    """A file that was made: of an image with that sha256, in the way that `made` says, with that content."""

    input_sha256: str
    made: Mapping[str, Any]
    bytes: int
    sha256: str


class Journal:
    """The files that batches made in a folder, by their paths below it. One thread adds, others may ask meanwhile."""

    def __init__(self, folder: Path) -> None:
        """Reads what is there; a line that is damaged counts for nothing. Raises CannotWrite if it cannot be read."""
        self.folder, self._path = folder, folder / NAME
        self._entries: dict[str, Entry] = {}
        try:
            data = self._path.read_bytes()
        except FileNotFoundError:
            data = b""
        except OSError as error:
            raise CannotWrite(f"{printable_name(folder)} cannot be gone on with: {NAME} cannot be read.") from error
        for line in data.splitlines():
            with suppress(ValueError, TypeError, AttributeError, RecursionError):
                read = json.loads(line)
                name = read.pop("file")
                self._entries[name] = Entry(**read)
        # A crash may have cut the last line short: what comes next begins a line of its own.
        self._start = b"" if not data or data.endswith(b"\n") else b"\n"

    def __iter__(self) -> Iterator[Path]:
        return (self.folder / name for name in self._entries)

    def has(self, name: str, input_sha256: str, made: Mapping[str, Any]) -> bool:
        """Returns whether the file is there as it was written, made of that image in that way."""
        entry = self._entries.get(name)
        if entry is None or entry.input_sha256 != input_sha256 or entry.made != made:
            return False
        path = self.folder / name
        try:
            return path.stat().st_size == entry.bytes and files.sha256_of(path) == entry.sha256
        except OSError:
            return False

    def add(self, name: str, entry: Entry) -> None:
        """Notes a file that is about to be written. Raises CannotWrite."""
        line = {
            "file": name,
            "input_sha256": entry.input_sha256,
            "made": entry.made,
            "bytes": entry.bytes,
            "sha256": entry.sha256,
        }
        # ASCII: a name that is no UTF-8 is spelled out, and read back as it was.
        files.append(self._path, self._start + json.dumps(line).encode() + b"\n")
        self._start, self._entries[name] = b"", entry
