"""A relay on 127.0.0.1 between a browser and a server, which can lose the connection and find it again."""

import selectors
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

PIECE = 1 << 16


class Relay:
    """A context manager; `url` is what stands for the server's own address."""

    def __init__(self, server: str) -> None:
        self._to = (urlsplit(server).hostname, urlsplit(server).port)
        self._streams: set[socket.socket] = set()
        self._threads: list[threading.Thread] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        self._begin(self._accept, self._listener)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.lose()
        for thread in self._threads:
            thread.join()

    def lose(self) -> None:
        """Ends each connection in the middle of whatever it carries, and refuses all others from now on."""
        _end(self._listener)
        for stream in [*self._streams]:
            _end(stream)

    def restore(self) -> None:
        """Lets connections through again, at the same address."""
        self._listener = socket.create_server(("127.0.0.1", self.port))
        self._begin(self._accept, self._listener)

    def _begin(self, work: Callable[..., None], *given: socket.socket) -> None:
        self._threads.append(threading.Thread(target=work, args=given))
        self._threads[-1].start()

    def _accept(self, listener: socket.socket) -> None:
        with listener, suppress(OSError):
            while True:
                browser, _ = listener.accept()
                server = socket.create_connection(self._to)
                self._streams |= {browser, server}
                self._begin(self._carry, browser, server)

    def _carry(self, browser: socket.socket, server: socket.socket) -> None:
        with selectors.DefaultSelector() as either, suppress(OSError):
            streams = {stream.fileno(): stream for stream in (browser, server)}
            either.register(browser, selectors.EVENT_READ, server)
            either.register(server, selectors.EVENT_READ, browser)
            while True:
                for key, _ in either.select():
                    data = streams[key.fd].recv(PIECE)
                    if not data:
                        raise OSError("one side has left")
                    key.data.sendall(data)
        for stream in (browser, server):
            _end(stream)
            self._streams.discard(stream)
            stream.close()


def _end(stream: socket.socket) -> None:
    """Wakes whoever waits for it, too, which closing alone would not."""
    with suppress(OSError):
        stream.shutdown(socket.SHUT_RDWR)
