"""One address into one file: resumed where it broke off, whole or not there at all, by one process at a time.

Knows no model and no Hub. pooch fetches the bytes in a thread of its own, so that closing the run ends the download at
once and a server that falls silent cannot hold the run, whatever the libraries below are waiting for.
"""

import errno
import os
import re
import shutil
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future, wait
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, TypeAlias, TypeVar

from pipelines.catalog.schema import File
from pipelines.errors import BadWeights
from pipelines.phrasing import megabytes
from pipelines.runs import Run, Step
from pipelines.weights.hashes import prove

if TYPE_CHECKING:
    import requests

T = TypeVar("T")
Report: TypeAlias = Callable[[int, str], Step]  # bytes of this file that are there, a note -> the step to yield

STALL_SECONDS = 10.0  # a server that has begun to send may pause for so long
POLL_SECONDS = 0.1
CHUNK_BYTES = 1 << 16
AT_MOST = 4  # times the size in the catalog, which may be only about right


class Refused(Exception):
    """A source did not give the file. The message continues a sentence that begins with the source's name."""


class Lacking(Refused):
    """The source has no such file."""

    def __init__(self) -> None:
        super().__init__("has no such file")


class TooLarge(Refused):
    """The source sends more than the file can be."""

    def __init__(self, file: File, times: int) -> None:
        most = f"{times} times the {megabytes(file.size)}" if times > 1 else f"the {megabytes(file.size)}"
        super().__init__(f"sends more than {most} that were expected")


class Unreachable(Refused):
    """The source's host does not answer at all, so that its other files need not be tried."""

    def __init__(self) -> None:
        super().__init__("is unreachable")


def download(
    url: str,
    headers: Mapping[str, str],
    target: Path,
    lock_path: Path,
    file: File,
    patience: float,
    report: Report,
    times: int = AT_MOST,
) -> Run[None]:
    """Bring what `url` gives to `target`, proven to be `file`; not a byte more than `times` its size is written.

    The bytes gather in `<target>.incomplete`, which stays when the download ends early: the next one continues it
    with a Range request, if `file` has a hash that would show a bad seam. `patience` is how many seconds the server
    may take to answer. Raises Refused, and OSError when the bytes cannot be stored.
    """
    from filelock import FileLock

    for folder in (target.parent, lock_path.parent):
        folder.mkdir(parents=True, exist_ok=True)
    unfinished = incomplete(target)
    lock = FileLock(lock_path, thread_local=False)  # a page may drive one run from several threads
    while not _acquired(lock):
        yield report(_size(unfinished), f"waiting for another download of {file.name}")
        time.sleep(POLL_SECONDS)
    try:
        if not (yield from in_thread(lambda: _is_there(file, target), lambda: report(0, f"checking {file.name}"))):
            yield from _complete(url, headers, unfinished, file, patience, report, times)
            os.replace(unfinished, target)
    finally:
        lock.release()


def incomplete(target: Path) -> Path:
    """Where what has come of a download gathers."""
    return target.with_name(f"{target.name}.incomplete")


def in_thread(job: Callable[[], T], step: Callable[[], Step], late: Callable[[], bool] = lambda: False) -> Run[T]:
    """Do `job` in a thread, yielding a step now and then; raises TimeoutError, leaving the thread, once `late()`.

    A thread that is left is a daemon and dies with its own timeouts.
    """
    outcome: Future[T] = Future()

    def work() -> None:
        try:
            outcome.set_result(job())
        except BaseException as error:
            outcome.set_exception(error)

    threading.Thread(target=work, daemon=True).start()
    while not wait([outcome], timeout=POLL_SECONDS).done:
        if late():
            raise TimeoutError
        yield step()
    return outcome.result()


def answer(job: Callable[[], T], patience: float, step: Callable[[], Step]) -> Run[T]:
    """Do `job`, one exchange with a server, in a thread; raises Unreachable after `patience` seconds.

    Timeouts of sockets do not bound that alone: looking up a name has none, and each address of a name has its own.
    """
    start = time.monotonic()
    try:
        return (yield from in_thread(job, step, late=lambda: time.monotonic() - start > patience))
    except TimeoutError as error:
        raise Unreachable from error


def status_in_words(status: int) -> str:
    """An HTTP status as the end of a sentence that begins with the source's name."""
    if status in (404, 410):
        return "has no such file"
    if status in (401, 403):
        return f"refuses access ({status})"
    if status == 429:
        return "is asked too often (429)"
    return f"has a server error ({status})" if status >= 500 else f"answers with HTTP status {status}"


class _Sink:
    """The growing file as pooch sees it. Counts, notes what the server answered, and can be stopped from outside."""

    def __init__(self, path: Path, file: File, times: int) -> None:
        self.path = path
        self.file = file
        self.times = times
        self.done = _size(path)
        self.total = 0
        self.status = 0
        self.sending = False
        self.moved = time.monotonic()
        self.closed = threading.Event()
        self._stopped = False
        self._stream: BinaryIO | None = None
        self._response: requests.Response | None = None

    def answered(self, response: "requests.Response", **_: object) -> None:
        """Called by requests on each response, before its content is read."""
        self._response = response
        self.status = response.status_code
        self._raise_if_stopped()
        if self.status not in (200, 206):
            return
        if self.status == 200:  # also the answer of a server that does not know Range: it begins anew
            self.done = 0
        rest = _length(response)
        self._raise_if_too_large(self.done + rest)
        if shutil.disk_usage(self.path.parent).free < rest:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self._stream = self.path.open("ab" if self.done else "wb")
        self.total = self.done + rest
        self.moved = time.monotonic()
        self.sending = True

    def write(self, chunk: bytes) -> None:
        self._raise_if_stopped()
        self._raise_if_too_large(self.done + len(chunk))
        assert self._stream is not None, "pooch writes only what a server has answered"
        self._stream.write(chunk)
        self.done += len(chunk)
        self.moved = time.monotonic()

    def flush(self) -> None:
        if self._stream is not None:
            self._stream.flush()

    def stop(self) -> None:
        """Let nothing more be written, and wake the thread if it waits for more from the server."""
        self._stopped = True
        if self.sending and self._response is not None and not self.closed.is_set():
            with suppress(ValueError, RuntimeError):  # it may have ended in this very moment
                self._response.raw.shutdown()
            self.closed.wait(timeout=1)

    def close(self) -> None:
        try:
            if self._stream is not None:
                self._stream.close()
        finally:
            if self._response is not None:
                self._response.close()
            self.closed.set()

    def _raise_if_stopped(self) -> None:
        if self._stopped:
            raise InterruptedError

    def _raise_if_too_large(self, size: int) -> None:
        if size > self.times * self.file.size:
            raise TooLarge(self.file, self.times)


def _complete(
    url: str, headers: Mapping[str, str], incomplete: Path, file: File, patience: float, report: Report, times: int
) -> Run[None]:
    """Fill `incomplete` until it is proven to be `file`."""
    if file.pin == "unpinned":
        incomplete.unlink(missing_ok=True)
    begun = _size(incomplete)
    try:
        yield from _transfer(url, headers, incomplete, file, patience, report, times)
    except (OSError, TooLarge):
        incomplete.unlink(missing_ok=True)  # a disk that is full should not stay so
        raise
    try:
        yield from in_thread(
            lambda: prove(file, incomplete), lambda: report(_size(incomplete), f"checking {file.name}")
        )
    except BadWeights as error:
        incomplete.unlink()
        if not begun:
            raise Refused(f"gave wrong bytes ({str(error).removesuffix('.')})") from error
        yield from _complete(url, headers, incomplete, file, patience, report, times)


def _transfer(
    url: str, headers: Mapping[str, str], incomplete: Path, file: File, patience: float, report: Report, times: int
) -> Run[None]:
    """Append what is missing to `incomplete`. Raises Refused in the words of what happened."""
    import requests

    sink = _Sink(incomplete, file, times)
    job = _pooch_job(url, headers, sink, patience)
    start = time.monotonic()

    def late() -> bool:
        now = time.monotonic()
        return now - sink.moved > STALL_SECONDS if sink.sending else now - start > patience

    try:
        yield from in_thread(job, lambda: report(sink.done, f"downloading {file.name}"), late)
    except requests.HTTPError as error:
        # All of it may be there already, when what ended the last download came between its last byte and its name.
        if sink.status != requests.codes.requested_range_not_satisfiable:
            raise Refused(status_in_words(sink.status)) from error
    except (requests.RequestException, TimeoutError) as error:
        if not sink.sending:
            raise Unreachable from error
        so_far = f"{megabytes(sink.done)} of {megabytes(max(sink.total, sink.done))}"
        how = "stopped sending" if isinstance(error, TimeoutError) else "broke off"
        raise Refused(f"{how} after {so_far}") from error
    finally:
        sink.stop()


def _pooch_job(url: str, headers: Mapping[str, str], sink: _Sink, patience: float) -> Callable[[], None]:
    from pooch import HTTPDownloader

    # Compressed content could neither be counted nor continued.
    extra = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={sink.done}-"} if sink.done else {})
    options: dict[str, Any] = {"headers": {**headers, **extra}, "hooks": {"response": sink.answered}}
    # The run keeps the time itself and can say more of what happened; these only end a thread that it left behind.
    timeout = (2 * patience, 2 * STALL_SECONDS)
    fetch = HTTPDownloader(chunk_size=CHUNK_BYTES, timeout=timeout, **options)

    def job() -> None:
        try:
            fetch(url, sink, None)
        finally:
            sink.close()

    return job


def _acquired(lock: Any) -> bool:
    from filelock import Timeout

    try:
        lock.acquire(blocking=False)
    except Timeout:
        return False
    return True


def _is_there(file: File, target: Path) -> bool:
    try:
        return target.exists() and bool(prove(file, target))
    except BadWeights:
        return False


def _length(response: "requests.Response") -> int:
    """How many bytes the server announces; 0 when it does not say. Raises Refused when that is no number (RFC 9110)."""
    text = response.headers.get("Content-Length", "0")
    if not re.fullmatch("[0-9]{1,18}", text):
        raise Refused(f"announces a length that is no number ({text[:20]!r})")
    return int(text)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:  # not begun, or moved to its name in this very moment
        return 0
