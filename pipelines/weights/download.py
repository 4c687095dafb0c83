"""One URL into one file: resumed where it broke off, whole or not there at all, by one process at a time.

Knows no model and no Hub. The bytes come in a thread of their own: closing the run ends the transfer at once, and a
server that falls silent cannot hold the run.
"""

import errno
import os
import secrets
import socket
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

from pipelines.catalog.schema import File
from pipelines.errors import BadWeights
from pipelines.files import free_bytes, size_of
from pipelines.phrasing import format_bytes
from pipelines.runs import POLL_SECONDS, Run, Step, in_thread
from pipelines.weights import public
from pipelines.weights.hashes import prove
from pipelines.weights.refusals import Refused, TooLarge, Unreachable, describe_status

if TYPE_CHECKING:
    import ssl

    import httpx2

T = TypeVar("T")
MakeStep: TypeAlias = Callable[[int, str], Step]  # bytes of this file that are there, a note -> the step to yield

STALL_SECONDS = 10.0  # a server that has started to send may pause for so long
MOST_TIMES_SIZE = 4  # times the size in the catalog, which may be only about right
NO_LOCKS = {errno.ENOLCK, errno.EOPNOTSUPP, errno.ESTALE}
OK, PARTIAL_CONTENT, RANGE_NOT_SATISFIABLE = 200, 206, 416  # RFC 9110


def download(
    url: str,
    headers: Mapping[str, str],
    target: Path,
    lock_path: Path,
    file: File,
    patience: float,
    report: MakeStep,
    times: int = MOST_TIMES_SIZE,
    only_public: bool = False,
) -> Run[None]:
    """Brings what `url` gives to `target`, proven to be `file`; not a byte more than `times` its size is written.

    With `only_public`, only https is spoken, and only with addresses of the public internet, also after a
    redirect: whoever names a file shall not reach by it what only this machine can.

    The bytes gather in `<target>.incomplete`, which stays when the download ends early: the next one continues it
    with a Range request, if `file` has a hash that would show a bad seam. `patience` is how many seconds the server
    may take to answer. Raises Refused, and OSError when the bytes cannot be stored.
    """
    from filelock import FileLock

    for folder in (target.parent, lock_path.parent):
        folder.mkdir(parents=True, exist_ok=True)
    unfinished = incomplete_path(target)
    lock = FileLock(lock_path, thread_local=False)  # a page may drive one run from several threads
    while (locked := _acquire(lock)) is False:
        yield report(size_of(unfinished), f"waiting for another download of {file.name}")
        time.sleep(POLL_SECONDS)
    if locked is None:  # two at once each fill a file of their own, and the last to end gives it its name
        unfinished = unfinished.with_name(f"{target.name}.{secrets.token_hex(8)}.incomplete")
    try:
        if not (yield from in_thread(lambda: _is_there(file, target), lambda: report(0, f"checking {file.name}"))):
            fill = partial(_transfer, url, headers, unfinished, file, patience, report, times, only_public)
            yield from _complete(fill, unfinished, file, report)
            os.replace(unfinished, target)
    finally:
        lock.release()
        if locked is None:
            unfinished.unlink(missing_ok=True)


def incomplete_path(target: Path) -> Path:
    """Returns where what has come of a download gathers."""
    return target.with_name(f"{target.name}.incomplete")


def ask_server(job: Callable[[], T], patience: float, step: Callable[[], Step]) -> Run[T]:
    """Runs `job`, one exchange with a server, in a thread; raises Unreachable after `patience` seconds.

    Timeouts of sockets do not bound that alone: looking up a name has none, and each address of a name has its own.
    """
    start = time.monotonic()
    try:
        return (yield from in_thread(job, step, is_late=lambda: time.monotonic() - start > patience))
    except TimeoutError as error:
        raise Unreachable from error


class _Transfer:
    """One answer on its way into a growing file, in a thread. The run looks at its counts, and may end it any time."""

    def __init__(self, path: Path, file: File, times: int, only_public: bool) -> None:
        self.path = path
        self.file = file
        self.times = times
        self.only_public = only_public
        self.done = size_of(path)  # bytes of the file
        self.total = 0  # bytes that it is going to have; 0 until the server has said it
        self.sending = False  # whether the server has started to send the file
        self.moved = 0.0  # when the last bytes came, by time.monotonic
        self._stopped = False
        self._ended = threading.Event()
        self._socket: socket.socket | None = None

    def receive(self, url: str, headers: Mapping[str, str], patience: float) -> None:
        """Appends what the server sends. Raises Refused, httpx2.RequestError, and OSError from the disk."""
        import httpx2

        # Compressed content could neither be counted nor continued.
        extra = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={self.done}-"} if self.done else {})
        # The run keeps the time itself and can say more of what happened; these only end a thread that it left behind.
        timeout = httpx2.Timeout(2 * patience, read=2 * STALL_SECONDS)
        try:
            with (
                httpx2.Client(
                    verify=_certificates(),
                    timeout=timeout,
                    follow_redirects=True,
                    trust_env=not self.only_public,  # a proxy would connect in our place
                    event_hooks={"request": [public.check_request]} if self.only_public else {},
                ) as client,
                client.stream(
                    "GET", url, headers={**headers, **extra}, extensions={"trace": self._on_event}
                ) as response,
            ):
                self._append(response)
        finally:
            self._ended.set()

    def stop(self) -> None:
        """Lets nothing more be written, and wakes the thread if it waits for the server."""
        self._stopped = True
        self._hang_up()
        if self.sending:  # the file is open, and another download may begin as soon as this returns
            self._ended.wait(timeout=1)

    def _on_event(self, event: str, about: Mapping[str, Any]) -> None:
        """Called by httpx2 (its request extension "trace") for all that happens; keeps the socket, to hang up by."""
        if event.endswith((".connect_tcp.complete", ".start_tls.complete")):
            self._socket = about["return_value"].get_extra_info("socket")
            if self._stopped:
                self._hang_up()
            if self.only_public and self._socket is not None:  # before a word is said
                public.check_peer(self._socket)

    def _hang_up(self) -> None:
        """Ends the connection, which wakes whoever reads from it; closing it in another thread would not."""
        if self._socket is not None:
            with suppress(OSError):  # it may have ended in this very moment
                # A TLS socket's own shutdown would have its reader go on with plain bytes.
                socket.socket.shutdown(self._socket, socket.SHUT_RDWR)

    def _append(self, response: "httpx2.Response") -> None:
        status = response.status_code
        if status == RANGE_NOT_SATISFIABLE and self.done:
            return  # it may be whole already, if the last download ended between its last byte and its name
        if status not in (OK, PARTIAL_CONTENT):
            raise Refused(describe_status(status))
        if status == OK:  # also the answer of a server that does not know Range: it begins anew
            self.done = 0
        rest = int(response.headers.get("Content-Length", 0))
        self._raise_if_too_large(self.done + rest)
        if free_bytes(self.path.parent) < rest:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self.total = self.done + rest
        self.moved = time.monotonic()
        self.sending = True  # before the look at `_stopped`: whoever stops it from now on waits for the file
        self._raise_if_stopped()
        with self.path.open("ab" if self.done else "wb") as stream:
            for chunk in response.iter_raw():
                self._raise_if_stopped()
                self._raise_if_too_large(self.done + len(chunk))
                stream.write(chunk)
                self.done += len(chunk)
                self.moved = time.monotonic()

    def _raise_if_stopped(self) -> None:
        if self._stopped:
            raise InterruptedError

    def _raise_if_too_large(self, size: int) -> None:
        if size > self.times * self.file.size:
            raise TooLarge(self.file, self.times)


def _complete(fill: Callable[[], Run[None]], incomplete: Path, file: File, report: MakeStep) -> Run[None]:
    """Fills `incomplete`, by `fill`, until it is proven to be `file`."""
    if file.pin == "unpinned":
        incomplete.unlink(missing_ok=True)
    before = size_of(incomplete)
    try:
        yield from fill()
    except (OSError, TooLarge):
        incomplete.unlink(missing_ok=True)  # a disk that is full should not stay so
        raise
    try:
        yield from in_thread(
            lambda: prove(file, incomplete), lambda: report(size_of(incomplete), f"checking {file.name}")
        )
    except BadWeights as error:
        incomplete.unlink()
        if not before:
            raise Refused(f"gave wrong bytes ({str(error).removesuffix('.')})") from error
        yield from _complete(fill, incomplete, file, report)


def _transfer(
    url: str,
    headers: Mapping[str, str],
    incomplete: Path,
    file: File,
    patience: float,
    report: MakeStep,
    times: int,
    only_public: bool,
) -> Run[None]:
    """Appends what is missing to `incomplete`. Raises Refused in the words of what happened."""
    import httpx2

    _certificates()  # before the clock starts
    transfer = _Transfer(incomplete, file, times, only_public)
    start = time.monotonic()

    def is_late() -> bool:
        now = time.monotonic()
        return now - transfer.moved > STALL_SECONDS if transfer.sending else now - start > patience

    try:
        yield from in_thread(
            lambda: transfer.receive(url, headers, patience),
            lambda: report(transfer.done, f"downloading {file.name}"),
            is_late,
        )
    except (httpx2.RequestError, TimeoutError) as error:
        if not transfer.sending:
            if "Content-Length" in str(error):  # which h11, below httpx2, lets pass as a number alone
                raise Refused("announces a length that is no number") from error
            raise Unreachable from error
        so_far = f"{format_bytes(transfer.done)} of {format_bytes(max(transfer.total, transfer.done))}"
        how = "stopped sending" if isinstance(error, TimeoutError) else "broke off"
        raise Refused(f"{how} after {so_far}") from error
    finally:
        transfer.stop()


@cache
def _certificates() -> "ssl.SSLContext":
    """The certificates to trust, which take a tenth of a second to read."""
    import httpx2

    return httpx2.create_ssl_context()


def _acquire(lock: Any) -> bool | None:
    """Returns whether the lock is ours now; None on a file system that has none, as networks' file systems may."""
    from filelock import Timeout

    try:
        lock.acquire(blocking=False)
    except Timeout:
        return False
    except (NotImplementedError, OSError) as error:  # NotImplementedError is what filelock makes of ENOSYS
        if isinstance(error, OSError) and error.errno not in NO_LOCKS:
            raise
        return None
    return True


def _is_there(file: File, target: Path) -> bool:
    with suppress(BadWeights):
        return target.exists() and bool(prove(file, target))
    return False
