"""The Hugging Face Hub as a source of weights, which lie in the Hub's own cache, where every other library finds them.

What somebody named lies in a cache apart (visitors.py).
"""

import os
import re
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path, PurePosixPath
from typing import TypeVar
from urllib.parse import urlsplit

from pipelines.catalog.schema import File, Hub
from pipelines.files import size_of, write_whole
from pipelines.runs import Run, Step
from pipelines.weights import visitors
from pipelines.weights.download import MOST_TIMES_SIZE, MakeStep, ask_server, download, incomplete_path
from pipelines.weights.refusals import NoSuchFile, Refused, Unreachable, describe_status
from pipelines.weights.sources import Offer

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class _Head:
    """What the Hub says of a file before it is downloaded."""

    commit: str
    etag: str
    size: int | None


@dataclass(frozen=True, slots=True)
class HubSource:
    """A repository on the Hub, asked with HF_TOKEN, if there is one, unless it is public."""

    at: Hub

    @property
    def label(self) -> str:
        """The word Hub and the repository: "Hub owner/name"."""
        return f"Hub {self.at.repo}"

    @property
    def origin(self) -> str:
        """The Hub's cache, whoever brought the file there."""
        return "Hub cache"

    @property
    def host(self) -> str:
        """The host of the Hub, which HF_ENDPOINT may change."""
        from huggingface_hub import constants

        return urlsplit(constants.ENDPOINT).netloc

    @property
    def cache(self) -> Path:
        """Returns where files of the repository are kept.

        What a visitor names is not looked for where the owner of this machine, who has a token, keeps files.
        """
        from huggingface_hub import constants

        return visitors.folder() if self.at.public else Path(constants.HF_HUB_CACHE)

    @property
    def folder_name(self) -> str:
        """The repository's name without its owner."""
        return self.at.repo.split("/")[1]

    def cached(self, file: File) -> Path | None:
        """Returns where the Hub's cache has the file, at the pinned revision or else at the newest that it knows."""
        from huggingface_hub import try_to_load_from_cache

        found = try_to_load_from_cache(self.at.repo, file.path, self.cache, self.at.revision)
        if not isinstance(found, str):  # None, or a mark that it is known not to exist
            return None
        if self.at.public:
            visitors.mark_used(Path(found))
        return Path(found)

    def survey(self, files: Sequence[File], patience: float, report: MakeStep) -> Run[Offer]:
        """Asks how large each file is that is not cached, all at one commit.

        Of a repository that is not pinned the commit is the one of what is cached, or else the newest: files of two
        commits need not fit each other. Raises Refused, which names the file that is not there.
        """
        here = [self.cached(file) for file in files]
        commits = [_commit(path, file) for file, path in zip(files, here, strict=True) if path is not None]
        commit = self.at.revision or next(iter(commits), None)
        sizes: tuple[int, ...] = ()
        to_come = 0
        for file, path in zip(files, here, strict=True):
            if path is not None:
                sizes += (path.stat().st_size,)
                continue
            try:
                head = yield from self._head(file, commit, patience, report)
            except NoSuchFile as error:
                raise Refused(f"has no {file.path}") from error
            commit, size = head.commit, head.size or file.size
            sizes += (size,)
            to_come += max(0, size - size_of(incomplete_path(self._blob(head.etag))))
        return Offer(commit, sizes, to_come)

    def pull(self, file: File, patience: float, report: MakeStep, commit: str | None = None) -> Run[Path]:
        """Lets huggingface_hub ask, brings the bytes by `download`, and puts them where its cache has them.

        Its own download cannot be continued by a later one, hands over 10 MiB at a time, so that closing takes as long,
        asks a Hub that is down for 23 s, needs locks, and keeps two copies where there are no links. After the first
        answer all is asked for at that answer's commit: the newest revision may be another by then, and larger.
        """
        from huggingface_hub import hf_hub_url
        from huggingface_hub.utils import build_hf_headers  # type: ignore[attr-defined]  # documented, not re-exported

        head = yield from self._head(file, commit, patience, report)
        known = bool(file.size)
        if not known:
            file = replace(file, size=_announced_size(head.size, self.at.public))
            report = partial(_of_size, report, file.size)
        blob = self._blob(head.etag)
        repository, cache = blob.parents[1], blob.parents[2]
        if self.at.public:
            visitors.make_room(blob, file.size)
        yield from download(
            hf_hub_url(self.at.repo, file.path, revision=head.commit),
            build_hf_headers(token=self._token()),
            blob,
            cache / ".locks" / repository.name / f"{head.etag}.download.lock",
            _by_etag(file, head.etag),
            patience,
            report,
            times=MOST_TIMES_SIZE if known else 1,
        )
        path = repository / "snapshots" / head.commit / file.path
        _add_to_snapshot(blob, path)
        if self.at.revision is None:
            _note_newest(repository / "refs" / "main", head.commit)
        return path

    def _head(self, file: File, commit: str | None, patience: float, report: MakeStep) -> Run[_Head]:
        """Asks for the file as it was at the commit, or as the repository is pinned. Raises Refused."""
        from huggingface_hub import constants, get_hf_file_metadata, hf_hub_url

        constants.HF_HUB_DISABLE_TELEMETRY = True  # else the first request also asks for a list of programs to report
        constants.HF_HUB_DISABLE_SYMLINKS_WARNING = True

        url = hf_hub_url(self.at.repo, file.path, revision=commit or self.at.revision)
        head = yield from self._ask(
            lambda: get_hf_file_metadata(url, token=self._token(), timeout=patience), file, patience, report
        )
        commit, etag = head.commit_hash or "", head.etag or ""
        if not re.fullmatch("[0-9a-f]{40}", commit) or not re.fullmatch("[0-9a-f]{40}|[0-9a-f]{64}", etag):
            raise Refused("does not answer like a Hub")
        return _Head(commit, etag, head.size)

    def _ask(self, job: Callable[[], T], file: File, patience: float, report: MakeStep, done: int = 0) -> Run[T]:
        """One exchange with the Hub about the file, of which `done` bytes are here."""
        job = partial(_as_refused, job, self.at.public)
        return ask_server(job, patience, lambda: report(done, f"asking the Hub for {file.name}"))

    def _blob(self, etag: str) -> Path:
        """Returns where the cache keeps the content with that ETag."""
        from huggingface_hub.file_download import repo_folder_name

        return self.cache / repo_folder_name(repo_id=self.at.repo, repo_type="model") / "blobs" / etag

    def _token(self) -> bool | None:
        """Returns what huggingface_hub takes for: no token, or whatever there is."""
        return False if self.at.public else None


def _commit(path: Path, file: File) -> str:
    """The commit whose snapshot a file in the Hub's cache is part of."""
    return path.parents[len(PurePosixPath(file.path).parts) - 1].name


def _add_to_snapshot(blob: Path, path: Path) -> None:
    """Makes the blob a snapshot's file as huggingface_hub does: by a link, or where there are none by moving it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.is_file():
        return
    with suppress(FileNotFoundError):
        path.unlink()  # a link to a blob that is gone
    try:
        path.symlink_to(os.path.relpath(blob, path.parent))
    except FileExistsError:  # another run was quicker
        return
    except OSError:
        os.replace(blob, path)


def _note_newest(ref: Path, commit: str) -> None:
    """Notes what is newest as huggingface_hub does, by which it finds the file again."""
    ref.parent.mkdir(parents=True, exist_ok=True)
    write_whole(ref, commit.encode())


def _announced_size(size: int | None, public: bool) -> int:
    """The size that the Hub gives for a file whose size nobody knew. Raises Refused for one that is not wanted."""
    if size is None:
        raise Refused("does not say how large the file is")
    if not size:
        raise Refused("has an empty file")
    if public:  # only what somebody named may be anything
        visitors.check_size(size)
    return size


def _of_size(report: MakeStep, size: int, done: int, note: str) -> Step:
    """A step of a download that turned out to be of that many bytes."""
    step = report(done, note)
    return replace(step, total=max(step.total, step.done - done + size))


def _by_etag(file: File, etag: str) -> File:
    """The file with the hash to hold the download against: the Hub's, where the catalog has none.

    The Hub's ETag is a large file's sha256 and a small file's git blob SHA-1 (huggingface_hub, hf_hub_url).
    """
    if file.pin != "unpinned":
        return file
    return replace(file, sha256=etag) if len(etag) == 64 else replace(file, git_blob=etag)


def _as_refused(job: Callable[[], T], public: bool) -> T:
    """Does `job`, with the Hub's errors turned into Refused; where it was `public` no token would have helped."""
    import httpx2
    from huggingface_hub import errors

    try:
        return job()
    except errors.GatedRepoError as error:  # first: it is a RepositoryNotFoundError too
        raise Refused(
            "is gated, and only public files are downloaded by name"
            if public
            else "is gated: it needs HF_TOKEN and its terms accepted on the repository's page"
        ) from error
    except errors.RepositoryNotFoundError as error:
        raise Refused(f"does not exist, or is private{'' if public else ' and needs HF_TOKEN'}") from error
    except errors.RevisionNotFoundError as error:
        raise Refused("does not have the pinned revision") from error
    except errors.RemoteEntryNotFoundError as error:  # first: it is an HfHubHTTPError too
        raise NoSuchFile from error
    except errors.HfHubHTTPError as error:
        raise Refused(describe_status(error.response.status_code)) from error
    except httpx2.RemoteProtocolError as error:  # first: it is a RequestError too
        raise Refused("does not answer like a Hub") from error
    except (httpx2.RequestError, errors.LocalEntryNotFoundError) as error:
        raise Unreachable from error
