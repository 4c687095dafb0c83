"""Why a source did not give a file, in words that follow the source's name."""

from pipelines.catalog.schema import File
from pipelines.phrasing import format_bytes


class Refused(Exception):
    """A source did not give the file. The message goes on after the source's label."""


class NoSuchFile(Refused):
    """The source has no such file."""

    def __init__(self) -> None:
        super().__init__("has no such file")


class TooLarge(Refused):
    """The source sends more than the file can be."""

    def __init__(self, file: File, times: int) -> None:
        most = f"{times} times the {format_bytes(file.size)}" if times > 1 else f"the {format_bytes(file.size)}"
        super().__init__(f"sends more than {most} that were expected")


class Unreachable(Refused):
    """The source's host does not answer at all, so that its other files need not be tried."""

    def __init__(self) -> None:
        super().__init__("is unreachable")


def describe_status(status: int) -> str:
    """Returns an HTTP status as the end of a message that begins with the source's label."""
    if status in (404, 410):
        return "has no such file"
    if status in (401, 403):
        return f"refuses access ({status})"
    if status == 429:
        return "gets too many requests (429)"
    return f"has a server error ({status})" if status >= 500 else f"answers with HTTP status {status}"
