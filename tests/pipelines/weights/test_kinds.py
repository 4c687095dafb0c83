"""Kinds of sources: those of the catalog, and one more, which takes a class and a line."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import pytest

from pipelines.catalog import schema
from pipelines.catalog.schema import File, Weights
from pipelines.errors import WeightsUnavailable
from pipelines.runs import Run, finish
from pipelines.weights import kinds
from pipelines.weights.download import MakeStep, download
from pipelines.weights.fetch import fetch, find
from pipelines.weights.sources import Offer, Source
from tests.support.hub import LoopbackHub, use

CONTENT = b"weights" * 1000
FILES = (File("tiny.pth", len(CONTENT)), File("config.json", len(CONTENT)))


@dataclass(frozen=True, slots=True)
class Shelf:
    """What a row says of the third kind."""

    url: str
    folder: Path


@dataclass(frozen=True, slots=True)
class ShelfSource:
    """A server that has all files in one folder."""

    at: Shelf
    label: str = "the shelf"
    origin: str = "cached from the shelf"
    host: str = "shelf"
    folder_name: str = ""

    @property
    def cache(self) -> Path:
        return self.at.folder

    def cached(self, file: File) -> Path | None:
        path = self.at.folder / file.name
        return path if path.exists() else None

    def survey(self, files: Sequence[File], patience: float, report: MakeStep) -> Run[Offer]:
        yield report(0, "asking the shelf")
        return Offer(None, tuple(file.size for file in files), 0)

    def pull(self, file: File, patience: float, report: MakeStep, commit: str | None = None) -> Run[Path]:
        target = self.at.folder / file.name
        yield from download(f"{self.at.url}/{file.name}", {}, target, Path(f"{target}.lock"), file, patience, report)
        return target


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[LoopbackHub]:
    monkeypatch.setattr(kinds, "SOURCE_CLASSES", {**kinds.SOURCE_CLASSES, Shelf: ShelfSource})
    with LoopbackHub() as server:
        use(server.url, tmp_path / "home", monkeypatch)
        yield server


def test_every_kind_of_the_catalog_has_its_class() -> None:
    assert set(kinds.SOURCE_CLASSES) == set(get_args(schema.SourceData))


@pytest.mark.parametrize("files", [FILES[:1], FILES])
def test_a_third_kind_is_one_class(hub: LoopbackHub, tmp_path: Path, files: tuple[File, ...]) -> None:
    shelf: Any = Shelf(f"{hub.url}/shelf", tmp_path / "shelf")
    source: Source = kinds.source_of(shelf)
    row = Weights(files, (shelf,))
    with pytest.raises(WeightsUnavailable, match="the shelf has no such file"):
        finish(fetch(row))
    for file in files:
        hub.serve(f"/shelf/{file.path}", CONTENT)
    assert {(each.origin, each.path.read_bytes()) for each in finish(fetch(row))} == {(source.label, CONTENT)}
    assert {each.origin for each in find(row) or ()} == {source.origin}
