"""The dataset of the Hugging Face Hub that keeps shared pages, where UPSCALE_SHARE_REPO names one.

A Space's disk is emptied when it restarts, and a dataset is not. huggingface_hub's CommitScheduler sends what is new
every few minutes; a page that is not on this disk any more is fetched when somebody asks for it.
"""

import logging
import os
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from pipelines import environment
from pipelines.errors import BadSetting, CannotWrite, UpscaleError

if TYPE_CHECKING:
    from huggingface_hub import CommitScheduler, HfApi

FOLDER = "pages"  # in the dataset
EVERY_MINUTES = 5.0  # between two commits, of which the Hub takes 128 an hour
SWEEP_SECONDS = 3600.0  # between two looks for what is too old, or too much
ANSWER_SECONDS = 60  # for what a visitor waits for
LISTED_SECONDS = 60.0  # for which a list of the dataset's pages counts
FAILED_SECONDS = 20.0  # after which a Hub that did not answer is asked again
MOST_WAITING = 4  # requests for pages that wait for the Hub; each has a thread, of which all answers share 40
SILENT = "The storage of shared pages does not answer at the moment. Try again in a minute."

_making, _opening, _placing, _asking = (threading.Lock() for _ in range(4))
_line = threading.BoundedSemaphore(MOST_WAITING)
_apis: dict[str, "HfApi"] = {}  # one for each dataset, because each has the thread that changes it
_schedulers: dict[tuple[str, Path], "CommitScheduler"] = {}
_listings: dict[str, "Listing"] = {}
_deleting: dict[str, "Future[None]"] = {}
_deleted: set[str] = set()
_unsquashed: set[str] = set()  # datasets whose history still has what was deleted
_swept: dict[str, float] = {}

log = logging.getLogger(__name__)


class Unanswered(UpscaleError):
    """The Hub does not answer, so nobody can tell whether there is such a page."""


class Listing(NamedTuple):
    """The pages that the dataset had at a time; None where the Hub did not tell."""

    when: float
    names: set[str] | None


def start(folder: Path) -> None:
    """Begins to send what lies in the folder to the dataset, if there is one. Raises BadSetting and CannotWrite."""
    if environment.share_repo():
        _open(folder)


def fetch(path: Path) -> bool:
    """Puts the page of that name there from the dataset; returns whether it is there now.

    The Hub is not asked for what the dataset has not, which a list of a minute's age says, because anybody may make up
    names. Raises Unanswered where it does not answer, or too many wait for it already.
    """
    repo = environment.share_repo()
    if not repo or path.name not in _list_names(repo):
        return False
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import RemoteEntryNotFoundError

    with _turn():
        if path.is_file():
            return True
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        try:
            with tempfile.TemporaryDirectory(prefix=".", suffix=".tmp", dir=path.parent) as folder:
                found = hf_hub_download(repo, f"{FOLDER}/{path.name}", repo_type="dataset", local_dir=folder)
                with _placing:
                    if is_deleted(path.name):
                        return False
                    os.replace(found, path)
            return True
        except RemoteEntryNotFoundError:  # not of its parents: a Hub out of reach is an entry that is not found, too
            return False
        except Exception as error:
            log.warning("a shared page cannot be fetched from %s", repo, exc_info=True)
            _listings[repo] = Listing(time.monotonic(), None)  # who asks next need not wait in vain
            raise Unanswered(SILENT) from error


def is_deleted(name: str) -> bool:
    """Returns whether the page of that name was deleted, or is about to be: nobody sees it any more."""
    return name in _deleting or name in _deleted


def delete(path: Path) -> None:
    """Deletes a page from the dataset and its history, and then here. It is out of sight at once.

    Raises CannotWrite where the Hub does not answer: then it is in sight again. If that takes too long, it goes on.
    Raises Unanswered where too many wait for the Hub already.
    """
    repo = environment.share_repo()
    if not repo:
        path.unlink(missing_ok=True)
        return
    try:
        with _waiting():
            with _placing:
                if (going := _deleting.get(path.name)) is None:
                    going = _deleting[path.name] = _after_commits(repo, _delete_everywhere, repo, path)
            going.result(ANSWER_SECONDS)
    except Unanswered:
        raise
    except TimeoutError as error:
        raise CannotWrite("Deleting the page takes longer than usual. Look again in a few minutes.") from error
    except Exception as error:
        log.warning("a shared page cannot be deleted from %s", repo, exc_info=True)
        raise CannotWrite("The page could not be deleted from its storage. Try again later.") from error


def sweep(is_over: Callable[[str], bool], room: int) -> None:
    """Deletes pages from the dataset whose name says that their time is over, and if the others take more bytes than
    that, those whose time is over next: in the background, once an hour.
    """
    repo = environment.share_repo()
    if not repo or time.monotonic() - _swept.get(repo, -SWEEP_SECONDS) < SWEEP_SECONDS:
        return
    _swept[repo] = time.monotonic()

    def look() -> None:
        try:
            sizes = _measure(repo)
            over = [name for name in sizes if is_over(name)]
            kept = sorted(sizes.keys() - set(over))  # names begin with the last day
            while sum(sizes[name] for name in kept) > room:
                over.append(kept.pop(0))
            if over:
                _delete(repo, over)
        except Exception:
            log.warning("old pages cannot be deleted from %s", repo, exc_info=True)

    _after_commits(repo, look)


def _list_names(repo: str) -> set[str]:
    """Returns the names of all pages in the dataset, as they were a minute ago at most. Raises Unanswered."""
    names = _recall(repo)
    if names is None:
        with _turn():
            if (names := _recall(repo)) is not None:  # who waited before has asked
                return names
            try:
                names = {*_measure(repo)}
            except Exception as error:
                log.warning("the shared pages in %s cannot be listed", repo, exc_info=True)
                _listings[repo] = Listing(time.monotonic(), None)
                raise Unanswered(SILENT) from error
            _listings[repo] = Listing(time.monotonic(), names)
    return names


def _recall(repo: str) -> set[str] | None:
    """Returns what the last list said, if it still counts. Raises Unanswered where there was none a moment ago."""
    when, names = _listings.get(repo, Listing(-LISTED_SECONDS, set()))
    age = time.monotonic() - when
    if names is None and age < FAILED_SECONDS:
        raise Unanswered(SILENT)
    return names if age < LISTED_SECONDS else None


@contextmanager
def _waiting() -> Iterator[None]:
    """A request that waits for the Hub. Raises Unanswered where too many do already."""
    if not _line.acquire(blocking=False):
        raise Unanswered("Too many others are waiting for shared pages. Try again in a minute.")
    try:
        yield
    finally:
        _line.release()


@contextmanager
def _turn() -> Iterator[None]:
    """A request's turn to ask the Hub, one at a time. Raises Unanswered as `_waiting` does."""
    with _waiting(), _asking:
        yield


def _open(folder: Path) -> "CommitScheduler":
    repo = environment.share_repo()
    with _opening:
        if (known := _schedulers.get((repo, folder))) is not None:
            return known
        from huggingface_hub import CommitScheduler

        api = _api_of(repo)
        try:
            api.create_repo(repo, repo_type="dataset", private=True, exist_ok=True)
            private = api.dataset_info(repo).private
        except Exception as error:
            log.warning("shared pages cannot be kept in %s", repo, exc_info=True)
            raise CannotWrite("The page cannot be shared: its storage does not answer.") from error
        if not private:
            raise BadSetting(f"The page cannot be shared: the dataset {repo} is public, and would list every page.")
        made = CommitScheduler(
            repo_id=repo,
            repo_type="dataset",
            folder_path=folder,
            path_in_repo=FOLDER,
            every=EVERY_MINUTES,
            private=True,
            allow_patterns="*.zip",
            hf_api=api,
        )
        _schedulers[repo, folder] = made
        return made


def _api_of(repo: str) -> "HfApi":
    from huggingface_hub import HfApi

    with _making:
        if repo not in _apis:
            _apis[repo] = HfApi()
            _apis[repo].run_as_future(int)  # begins the thread, of which two at once would begin two
        return _apis[repo]


def _after_commits(repo: str, work: Callable[..., None], *given: Any) -> "Future[None]":
    """Does the work once a commit that goes on has ended: by the one thread that makes them."""
    future: Future[None] = _api_of(repo).run_as_future(work, *given)
    return future


def _measure(repo: str) -> Mapping[str, int]:
    """Returns the names of the pages in the dataset, and the bytes of each."""
    from huggingface_hub.hf_api import RepoFile

    found = _api_of(repo).list_repo_tree(repo, recursive=True, repo_type="dataset")
    files = [each for each in found if isinstance(each, RepoFile) and each.path.startswith(f"{FOLDER}/")]
    return {Path(each.path).name: each.size for each in files}


def _delete_everywhere(repo: str, path: Path) -> None:
    """Deletes a page there, then here. Meanwhile no commit can send it: the same thread makes them."""
    try:
        _delete(repo, [path.name])
        with _placing:
            _deleted.add(path.name)
            path.unlink(missing_ok=True)
    finally:
        with _placing:
            _deleting.pop(path.name, None)


def _delete(repo: str, names: Sequence[str]) -> None:
    from huggingface_hub import CommitOperationDelete
    from huggingface_hub.errors import RemoteEntryNotFoundError

    api = _api_of(repo)
    here = _measure(repo)
    if gone := [f"{FOLDER}/{name}" for name in names if name in here]:  # else it was not sent yet
        operations = [CommitOperationDelete(path_in_repo=path) for path in gone]
        with suppress(RemoteEntryNotFoundError):  # somebody else was quicker
            api.create_commit(repo, operations, commit_message="Delete shared pages", repo_type="dataset")
        _unsquashed.add(repo)
    if repo in _unsquashed:  # what was deleted is in no history either
        api.super_squash_history(repo, repo_type="dataset")
        _unsquashed.discard(repo)
