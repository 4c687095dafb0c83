"""A disk that has room for so many bytes of one file."""

import errno
import io
from pathlib import Path
from typing import Any

import pytest


def limit(monkeypatch: pytest.MonkeyPatch, path: Path, room: int) -> None:
    """Leaves no room for more of the file than that, whoever writes it, until the test ends."""
    usual = io.open

    class Limited(io.FileIO):
        def write(self, data: Any) -> int:
            if self.tell() + memoryview(data).nbytes > room:
                raise OSError(errno.ENOSPC, "No space left on device")
            return super().write(data)

    def opened(file: Any, mode: str = "r", *more: Any, **options: Any) -> Any:
        if str(file) == str(path) and mode in ("r+b", "w+b"):
            return io.BufferedRandom(Limited(str(file), mode))
        return usual(file, mode, *more, **options)

    monkeypatch.setattr(io, "open", opened)
