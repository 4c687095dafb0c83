"""The dataset of the Hugging Face Hub that keeps shared pages, where UPSCALE_SHARE_REPO names one.

A Space's disk is emptied when it restarts, and a dataset is not. huggingface_hub's CommitScheduler sends what is new
every few minutes; a page that is not on this disk any more is fetched when somebody asks for it.
"""

import logging
import os
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipelines import environment
from pipelines.errors import BadSetting, CannotWrite

if TYPE_CHECKING:
    from huggingface_hub import CommitScheduler

FOLDER = "pages"  # in the dataset
EVERY_MINUTES = 5.0  # between two commits, of which the Hub takes 128 an hour
SWEEP_SECONDS = 86_400.0  # between two looks for what is too old
ANSWER_SECONDS = 60  # for what a visitor waits for
UNKNOWN_SECONDS = 60.0  # in which a page that the dataset has not is not asked for again
MOST_UNKNOWN = 10_000

_opening = threading.Lock()
_fetching = threading.Lock()
_schedulers: dict[tuple[str, Path], "CommitScheduler"] = {}
_unknown: dict[str, float] = {}
_swept: dict[str, float] = {}

log = logging.getLogger(__name__)


def start(folder: Path) -> None:
    """Begins to send what lies in the folder to the dataset, if there is one. Raises BadSetting and CannotWrite."""
    if environment.share_repo():
        _open(folder)


def fetch(path: Path) -> bool:
    """Puts the page of that name there from the dataset; returns whether it is there now."""
    repo = environment.share_repo()
    now = time.monotonic()
    if not repo or now - _unknown.get(path.name, -UNKNOWN_SECONDS) < UNKNOWN_SECONDS:
        return False
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import EntryNotFoundError

    with _fetching:  # one at a time: whoever makes up ids must not keep all threads busy
        if path.is_file():
            return True
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        try:
            with tempfile.TemporaryDirectory(prefix=".", suffix=".tmp", dir=path.parent) as folder:
                found = hf_hub_download(repo, f"{FOLDER}/{path.name}", repo_type="dataset", local_dir=folder)
                os.replace(found, path)
            return True
        except EntryNotFoundError:
            if len(_unknown) >= MOST_UNKNOWN:
                _unknown.clear()
            _unknown[path.name] = now
        except Exception:
            log.warning("a shared page cannot be fetched from %s", repo, exc_info=True)
        return False


def delete(names: Sequence[str]) -> None:
    """Deletes pages from the dataset, and from its history. Raises CannotWrite where it does not answer."""
    repo = environment.share_repo()
    if not repo:
        return
    try:
        _after_commits(repo, _delete, repo, names).result(ANSWER_SECONDS)
    except Exception as error:
        log.warning("shared pages cannot be deleted from %s", repo, exc_info=True)
        raise CannotWrite("The page could not be deleted from its storage. Try again later.") from error


def sweep(is_over: Callable[[str], bool]) -> None:
    """Deletes pages from the dataset whose name says that their time is over: in the background, once a day."""
    repo = environment.share_repo()
    if not repo or time.monotonic() - _swept.get(repo, -SWEEP_SECONDS) < SWEEP_SECONDS:
        return
    _swept[repo] = time.monotonic()

    def look() -> None:
        from huggingface_hub import HfApi

        try:
            files = HfApi().list_repo_files(repo, repo_type="dataset")
            names = [Path(each).name for each in files if each.startswith(f"{FOLDER}/")]
            if over := [name for name in names if is_over(name)]:
                _delete(repo, over)
        except Exception:
            log.warning("old pages cannot be deleted from %s", repo, exc_info=True)

    _after_commits(repo, look)


def _open(folder: Path) -> "CommitScheduler":
    repo = environment.share_repo()
    with _opening:
        if (known := _schedulers.get((repo, folder))) is not None:
            return known
        from huggingface_hub import CommitScheduler, HfApi

        api = HfApi()
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


def _after_commits(repo: str, work: Callable[..., None], *given: Any) -> "Future[None]":
    """Does the work once a commit that goes on has ended: by the one thread that makes them."""
    from huggingface_hub import HfApi

    api = next((each.api for (name, _), each in _schedulers.items() if name == repo), None) or HfApi()
    future: Future[None] = api.run_as_future(work, *given)
    return future


def _delete(repo: str, names: Sequence[str]) -> None:
    from huggingface_hub import CommitOperationDelete, HfApi
    from huggingface_hub.errors import EntryNotFoundError

    api = HfApi()
    here = {*api.list_repo_files(repo, repo_type="dataset")}
    gone = [path for name in names if (path := f"{FOLDER}/{name}") in here]
    if not gone:  # not sent yet
        return
    operations = [CommitOperationDelete(path_in_repo=path) for path in gone]
    try:
        api.create_commit(repo, operations, commit_message="Delete shared pages", repo_type="dataset")
    except EntryNotFoundError:
        return  # somebody else was quicker
    api.super_squash_history(repo, repo_type="dataset")  # what was deleted is in no history either
