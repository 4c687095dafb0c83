"""The places that publish weights: where their files lie once cached, and how one is had from them.

A file from the Hub lies in the Hub's own cache, where every other library finds it; one from a URL in the assets
folder beside it, and there too what somebody named (visitors.py). HF_HOME moves all.
"""

import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path, PurePosixPath
from typing import TypeVar
from urllib.parse import quote, urlsplit

from pipelines import environment
from pipelines.catalog.schema import File, Hub, Source, Url
from pipelines.errors import WeightsUnavailable
from pipelines.files import write_whole
from pipelines.phrasing import megabytes
from pipelines.runs import Run, Step
from pipelines.weights import visitors
from pipelines.weights.download import (
    AT_MOST,
    Lacking,
    Refused,
    Report,
    Unreachable,
    answer,
    download,
    incomplete,
    status_in_words,
)

T = TypeVar("T")

UNREACHABLE_SECONDS = 30.0  # long enough for the rows of one command, and for a visitor's clicks

_unreachable: dict[str, float] = {}  # host -> the time until which it is not asked again


@dataclass(frozen=True, slots=True)
class Offer:
    """What a source has of several files: the commit that it has them at, and how large they are."""

    commit: str | None  # None where the source has no commits
    sizes: tuple[int, ...]  # bytes of each file
    to_come: int  # bytes of all that is not here yet


def label(source: Source) -> str:
    """The source in words: "Hub owner/name", or the host and the first two folders of a URL."""
    if isinstance(source, Hub):
        return f"Hub {source.repo}"
    address = urlsplit(source.base)
    return "/".join([address.netloc, *address.path.strip("/").split("/")[:2]]).rstrip("/")


def host(source: Source) -> str:
    """The host to ask, with its port: what is unreachable for one source is so for all of the same host."""
    from huggingface_hub import constants

    return urlsplit(constants.ENDPOINT if isinstance(source, Hub) else source.base).netloc


def offline() -> bool:
    """Whether HF_HUB_OFFLINE forbids downloads. It is meant for all of them, not only for the Hub's."""
    from huggingface_hub import constants

    return constants.is_offline_mode()


def cached(file: File, source: Source) -> Path | None:
    """Where an earlier download from `source` left the file, if it did."""
    if isinstance(source, Url):
        path = _url_target(file, source)
        return path if path.is_file() else None
    from huggingface_hub import try_to_load_from_cache

    found = try_to_load_from_cache(source.repo, file.path, _hub_cache(source), source.revision)
    if not isinstance(found, str):  # None, or a mark that it is known not to exist
        return None
    if source.public:
        visitors.used(Path(found))
    return Path(found)


def forget(path: Path) -> None:
    """Remove a cached file that is damaged; of a Hub file the snapshot's link and the blob that it points to.

    Raises WeightsUnavailable when it cannot be removed, as from a cache that is read-only.
    """
    try:
        blob = path.parent / path.readlink() if path.is_symlink() else path
        path.unlink(missing_ok=True)
        blob.unlink(missing_ok=True)
    except OSError as error:
        raise WeightsUnavailable(
            f"{path.name} in the cache is damaged and cannot be removed ({error.strerror})."
        ) from error


def pull(file: File, source: Source, patience: float, report: Report, commit: str | None = None) -> Run[Path]:
    """Download the file, as it was at that commit, into its cache; without one as the source is pinned.

    A host that was found unreachable is taken to be so for a while, without waiting for it again. Raises
    downloads.Refused, and OSError when it cannot be stored.
    """
    return (yield from _reaching(source, _pull(file, source, patience, report, commit)))


def survey(files: Sequence[File], source: Source, patience: float, report: Report) -> Run[Offer]:
    """Ask for all of the files before a byte of one is downloaded; what is cached is not asked for.

    Of a repository that is not pinned the commit is the one of what is cached, or else the newest: files of two commits
    need not fit each other. Raises downloads.Refused, which names the file that is not there.
    """
    return (yield from _reaching(source, _survey(files, source, patience, report)))


def cache(source: Source) -> Path:
    """The folder below which what comes from the source is kept."""
    from huggingface_hub import constants

    return _hub_cache(source) if isinstance(source, Hub) else Path(constants.HF_ASSETS_CACHE)


def _reaching(source: Source, run: Run[T]) -> Run[T]:
    """The run, unless the source's host was found unreachable a moment ago; whether it is now is noted."""
    name = host(source)
    if time.monotonic() < _unreachable.get(name, 0.0):
        raise Unreachable
    try:
        return (yield from run)
    except Unreachable:
        _unreachable[name] = time.monotonic() + UNREACHABLE_SECONDS
        raise


def _survey(files: Sequence[File], source: Source, patience: float, report: Report) -> Run[Offer]:
    here = [cached(file, source) for file in files]
    if isinstance(source, Url):
        begun = [_size_of(incomplete(_url_target(file, source))) for file in files]
        sizes = tuple(file.size for file in files)
        to_come = sum(file.size - done for file, path, done in zip(files, here, begun, strict=True) if path is None)
        return Offer(None, sizes, max(0, to_come))
    commits = [_commit(path, file) for file, path in zip(files, here, strict=True) if path is not None]
    commit = source.revision or next(iter(commits), None)
    sizes, to_come = (), 0
    for file, path in zip(files, here, strict=True):
        if path is not None:
            sizes += (path.stat().st_size,)
            continue
        try:
            head = yield from _head(file, source, commit, patience, report)
        except Lacking as error:
            raise Refused(f"has no {file.path}") from error
        commit, size = head.commit, head.size or file.size
        sizes += (size,)
        to_come += max(0, size - _size_of(incomplete(_blob(source, head.etag))))
    return Offer(commit, sizes, to_come)


def _commit(path: Path, file: File) -> str:
    """The commit whose snapshot a file in the Hub's cache is part of."""
    return path.parents[len(PurePosixPath(file.path).parts) - 1].name


def _blob(hub: Hub, etag: str) -> Path:
    """Where the Hub's cache keeps the content with that ETag."""
    from huggingface_hub.file_download import repo_folder_name

    return _hub_cache(hub) / repo_folder_name(repo_id=hub.repo, repo_type="model") / "blobs" / etag


def _size_of(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _pull(file: File, source: Source, patience: float, report: Report, commit: str | None) -> Run[Path]:
    if isinstance(source, Hub):
        return (yield from _pull_from_hub(file, source, patience, report, commit))
    target = _url_target(file, source)
    url = f"{source.base.rstrip('/')}/{quote(file.path)}"
    yield from download(url, {}, target, target.with_name(f"{target.name}.lock"), file, patience, report)
    return target


def _hub_cache(hub: Hub) -> Path:
    """Where files of the repository are kept. What may be public only for the owner of this machine, who has a token,
    is not looked for where a visitor names it.
    """
    from huggingface_hub import constants

    return visitors.folder() if hub.public else Path(constants.HF_HUB_CACHE)


def _url_target(file: File, source: Url) -> Path:
    from huggingface_hub import constants

    address = urlsplit(source.base)
    folder = re.sub(r"[^\w.-]+", "--", address.netloc + address.path.rstrip("/"))
    return Path(constants.HF_ASSETS_CACHE) / "upscale-bench" / "weights" / folder / file.path


@dataclass(frozen=True, slots=True)
class _Head:
    """What the Hub says of a file before it is downloaded."""

    commit: str
    etag: str
    size: int | None


def _head(file: File, hub: Hub, commit: str | None, patience: float, report: Report) -> Run[_Head]:
    """Ask the Hub for the file as it was at the commit, or as the repository is pinned. Raises downloads.Refused."""
    from huggingface_hub import constants, get_hf_file_metadata, hf_hub_url

    constants.HF_HUB_DISABLE_TELEMETRY = True  # else the first request also asks for a list of programs to report
    constants.HF_HUB_DISABLE_SYMLINKS_WARNING = True

    url = hf_hub_url(hub.repo, file.path, revision=commit or hub.revision)
    head = yield from _ask(
        lambda: get_hf_file_metadata(url, token=_token(hub), timeout=patience), file, hub, patience, report
    )
    commit, etag = head.commit_hash or "", head.etag or ""
    if not re.fullmatch("[0-9a-f]{40}", commit) or not re.fullmatch("[0-9a-f]{40}|[0-9a-f]{64}", etag):
        raise Refused("does not answer like a Hub")
    return _Head(commit, etag, head.size)


def _ask(job: Callable[[], T], file: File, hub: Hub, patience: float, report: Report, done: int = 0) -> Run[T]:
    """One exchange with the Hub about the file, of which `done` bytes are here."""
    in_words = partial(_in_plain_words, job, hub.public)
    return answer(in_words, patience, lambda: report(done, f"asking the Hub for {file.name}"))


def _token(hub: Hub) -> bool | None:
    """What huggingface_hub takes for: no token, or whatever there is."""
    return False if hub.public else None


def _pull_from_hub(file: File, hub: Hub, patience: float, report: Report, commit: str | None) -> Run[Path]:
    """Let huggingface_hub ask and keep the cache's books, and bring the bytes in between ourselves.

    Its own download cannot be continued by a later one, hands over 10 MiB at a time, so that closing takes as long, and
    asks a Hub that is down for 23 s. It finds the blob in its place and only adds it to the snapshot. After the first
    answer all is asked for at that answer's commit: the newest revision may be another by then, and larger.
    """
    from huggingface_hub import hf_hub_download, hf_hub_url
    from huggingface_hub.utils import build_hf_headers  # type: ignore[attr-defined]  # documented, not re-exported

    head = yield from _head(file, hub, commit, patience, report)
    known = bool(file.size)
    if not known:
        file = replace(file, size=_announced(head.size, hub.public))
        report = partial(_of_size, report, file.size)
    blob = _blob(hub, head.etag)
    repository, cache = blob.parents[1], blob.parents[2]
    if hub.public:
        visitors.make_room(blob, file.size)
    yield from download(
        hf_hub_url(hub.repo, file.path, revision=head.commit),
        build_hf_headers(token=_token(hub)),
        blob,
        cache / ".locks" / repository.name / f"{head.etag}.download.lock",
        _by_etag(file, head.etag),
        patience,
        report,
        times=AT_MOST if known else 1,
    )
    add = partial(hf_hub_download, hub.repo, file.path, revision=head.commit, cache_dir=cache)
    name = yield from _ask(
        lambda: add(etag_timeout=patience, token=_token(hub)), file, hub, patience, report, done=file.size
    )
    if hub.revision is None:
        _remember(repository / "refs" / "main", head.commit)
    return Path(name)


def _remember(ref: Path, commit: str) -> None:
    """What is newest, as huggingface_hub notes it, by which it finds the file again."""
    ref.parent.mkdir(parents=True, exist_ok=True)
    write_whole(ref, commit.encode())


def _announced(size: int | None, public: bool) -> int:
    """The size that the Hub tells of a file whose size nobody knew. Raises Refused for one that is not wanted."""
    most = environment.model_bytes()
    if size is None:
        raise Refused("does not say how large the file is")
    if not size:
        raise Refused("has an empty file")
    if public and size > most:  # only what somebody named may be anything
        raise Refused(f"has {megabytes(size)}, and at most {megabytes(most)} are downloaded here")
    return size


def _of_size(report: Report, size: int, done: int, note: str) -> Step:
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


def _in_plain_words(job: Callable[[], T], public: bool) -> T:
    """Do `job`, with the Hub's errors turned into Refused; where it was `public` no token would have helped."""
    import httpx2
    from huggingface_hub import errors

    try:
        return job()
    except errors.GatedRepoError as error:  # first: it is a RepositoryNotFoundError too
        raise Refused(
            "is gated, and only what anybody may read is downloaded by its name"
            if public
            else "is gated: it needs HF_TOKEN and its terms accepted on the repository's page"
        ) from error
    except errors.RepositoryNotFoundError as error:
        raise Refused(f"does not exist, or is private{'' if public else ' and needs HF_TOKEN'}") from error
    except errors.RevisionNotFoundError as error:
        raise Refused("does not have the pinned revision") from error
    except errors.RemoteEntryNotFoundError as error:  # first: it is an HfHubHTTPError too
        raise Lacking from error
    except errors.HfHubHTTPError as error:
        raise Refused(status_in_words(error.response.status_code)) from error
    except httpx2.RemoteProtocolError as error:  # first: it is a RequestError too
        raise Refused("does not answer like a Hub") from error
    except (httpx2.RequestError, errors.LocalEntryNotFoundError) as error:
        raise Unreachable from error
