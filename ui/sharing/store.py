"""The shared pages of this server: each one file, found by an unguessable id, until its last day.

A file is a ZIP of all that its page is made of, so that a page comes, goes and travels as one. The id begins with the
page's last day: nothing has to be opened to know what is to be deleted. No function lists them for visitors.
"""

import hashlib
import hmac
import json
import os
import re
import secrets
import shutil
import threading
import time
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from pipelines import environment
from pipelines.errors import BadSetting, CannotWrite, UpscaleError
from pipelines.phrasing import format_bytes
from pipelines.runs import Run, Step
from ui.sharing import dataset

INDEX, CARD, ABOUT = "index.html", "card.jpg", "about.json"
SUFFIX = ".zip"
LARGEST_SHARE = 10  # a page may take this part of all room: a tenth
STALE_SECONDS = 3600  # after which an unfinished file was left behind
EPOCH = date(1970, 1, 1)
ID = re.compile(r"[0-9a-f]{4}-[\w-]{22}", re.ASCII)

_lock = threading.Lock()


@dataclass(frozen=True, slots=True)
class Page:
    """All that a page is made of; `title` and `about` are what other sites say of a link to it."""

    files: Mapping[str, bytes | Path]
    title: str
    about: str


@dataclass(frozen=True, slots=True)
class Place:
    """Where a page is going to be: its id, what deletes it, and the last day on which it is kept, in UTC."""

    id: str
    secret: str
    last_day: date


def start() -> None:
    """Begins to send pages to the dataset, if there is one: in the background, so that nobody has to wait for that."""

    def begin() -> None:
        with suppress(UpscaleError):  # it is in the log, and told to who shares
            _open_folder()

    if environment.share_days() and environment.share_repo():
        threading.Thread(target=begin, daemon=True).start()


def reserve(now: float | None = None) -> Place:
    """Returns a new place, once the dataset, if there is one, is ready for pages.

    Raises BadSetting where sharing is off or the dataset is public, CannotWrite where there can be no page.
    """
    days = environment.share_days()
    if not days:
        raise BadSetting("Sharing is turned off on this server.")
    _open_folder()
    last = _today(now) + timedelta(days=days)
    return Place(f"{(last - EPOCH).days:04x}-{secrets.token_urlsafe(16)}", secrets.token_urlsafe(16), last)


def add(place: Place, page: Page) -> Run[None]:
    """Keeps the page at that place. Its steps count bytes.

    Older pages give way where there is no room. Raises BadSetting for a page that is too large, CannotWrite where it
    cannot be written, and FileNotFoundError where one of the files is gone.
    """
    sizes = [len(each) if isinstance(each, bytes) else each.stat().st_size for each in page.files.values()]
    size, most = sum(sizes), environment.most_shared_bytes()
    if size > most // LARGEST_SHARE:
        raise BadSetting(
            f"This is too large to share: its page would take {format_bytes(size)}, and at most "
            f"{format_bytes(most // LARGEST_SHARE)} are allowed. Download it instead."
        )
    told = {"title": page.title, "about": page.about, "secret": _hash(place.secret)}
    unfinished = folder() / f".{place.id}.tmp"
    try:
        with _lock:
            folder().mkdir(parents=True, exist_ok=True, mode=0o700)
            sweep()
            _make_room(most - size)
        with zipfile.ZipFile(unfinished, "x", zipfile.ZIP_STORED) as archive:
            written = 0
            for (name, content), each in zip(page.files.items(), sizes, strict=True):
                if isinstance(content, bytes):
                    archive.writestr(name, content, zipfile.ZIP_DEFLATED)
                else:
                    archive.write(content, name)
                written += each
                yield Step(written, size, "writing the page")
            archive.writestr(ABOUT, json.dumps(told))
        unfinished.replace(_path_of(place.id))
    except FileNotFoundError:
        raise
    except OSError as error:
        raise CannotWrite(
            f"The page cannot be shared, because it cannot be written ({error.strerror or 'no room'})."
        ) from error
    finally:
        with suppress(OSError):
            unfinished.unlink(missing_ok=True)


def find(key: str, now: float | None = None) -> Path | None:
    """Returns the page's file; None where there is none, it was deleted, or its time is over.

    Raises Unanswered where nobody can tell at the moment.
    """
    path = _locate(key, now)
    return None if path is None or dataset.is_deleted(path.name) else path


def read(path: Path, name: str) -> bytes | None:
    """Returns one of the files that a page is made of; None where it has none of that name."""
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.read(name)
    except (KeyError, FileNotFoundError, zipfile.BadZipFile):
        return None


def tell(path: Path) -> dict[str, str]:
    """Returns the page's `title` and `about`, and the hash of its `secret`; empty where the page is gone."""
    found: dict[str, str] = json.loads(read(path, ABOUT) or b"{}")
    return found


def last_day_of(key: str) -> date:
    """Returns the last day on which the page of that id is kept, in UTC."""
    return EPOCH + timedelta(days=int(key[:4], 16))


def may_delete(path: Path, secret: str) -> bool:
    """Returns whether that is the secret of the page in that file."""
    return hmac.compare_digest(_hash(secret), tell(path).get("secret", ""))


def delete(key: str, secret: str) -> bool:
    """Deletes the page, if that is its secret: returns whether it was. A page that is not there counts as deleted.

    Raises Unanswered where nobody can tell whether it is there, and CannotWrite where it is still in the dataset.
    """
    path = _locate(key)
    if path is None:
        return True
    if not may_delete(path, secret):
        return not path.is_file()  # deleted meanwhile
    dataset.delete(path)
    return True


def sweep(now: float | None = None) -> None:
    """Deletes pages whose time is over, and what was left unfinished."""
    for path in _pages():
        if _is_over(path.stem, now):
            path.unlink(missing_ok=True)
    for path in folder().glob(".*.tmp"):
        with suppress(OSError):
            if time.time() - path.lstat().st_mtime > STALE_SECONDS:
                shutil.rmtree(path) if path.is_dir() else path.unlink()
    dataset.sweep(
        lambda name: bool(ID.fullmatch(Path(name).stem)) and _is_over(Path(name).stem, now),
        environment.most_shared_bytes(),
    )


def folder() -> Path:
    """Returns the folder where they lie: UPSCALE_SHARE_DIR, or beside what is downloaded."""
    from huggingface_hub import constants

    return environment.share_dir() or Path(constants.HF_ASSETS_CACHE) / "upscale-bench" / "shared"


def _open_folder() -> None:
    """Makes the folder, for this user alone, and then has the dataset watch it, which would make it for everybody."""
    try:
        folder().mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        said = error.strerror or "no room"
        raise CannotWrite(f"Nothing can be shared, because pages cannot be written here ({said}).") from error
    dataset.start(folder())


def _locate(key: str, now: float | None = None) -> Path | None:
    """Returns the page's file, even if it is being deleted; None where there is none. Raises Unanswered."""
    if not ID.fullmatch(key) or _is_over(key, now):
        return None
    path = _path_of(key)
    if path.is_file():
        return path
    if not dataset.fetch(path):
        return None
    with _lock:
        _make_room(environment.most_shared_bytes())
    return path


def _make_room(room: int) -> None:
    """Deletes the oldest pages until all take at most that many bytes."""
    found = sorted((path.stat().st_mtime, path.stat().st_size, path) for path in _pages())
    taken = sum(size for _, size, _ in found)
    for _, size, path in found:
        if taken <= room:
            return
        path.unlink(missing_ok=True)
        taken -= size


def _pages() -> Iterator[Path]:
    with suppress(FileNotFoundError):
        names = os.listdir(folder())
        yield from (folder() / name for name in names if name.endswith(SUFFIX) and ID.fullmatch(Path(name).stem))


def _path_of(key: str) -> Path:
    return folder() / f"{key}{SUFFIX}"


def _is_over(key: str, now: float | None) -> bool:
    return _today(now) > last_day_of(key)


def _today(now: float | None) -> date:
    return datetime.fromtimestamp(time.time() if now is None else now, UTC).date()


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode(errors="surrogatepass")).hexdigest()
