"""The engines: loading, tiles, threads, settings."""

import importlib.util
import pickle
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipelines import machine
from pipelines.catalog import rows as catalog
from pipelines.catalog.rows import Stage
from pipelines.catalog.schema import Weights
from pipelines.catalog.settings import Settings
from pipelines.enlarge import enlarge, enlarge_by, enlarge_fetched
from pipelines.errors import BadSetting, BadWeights
from pipelines.images.picture import Picture, Pixels
from pipelines.runs import Run, Step, finish
from pipelines.upscalers import loading
from pipelines.upscalers.loading import fetch, load, load_fetched, pin
from pipelines.weights import fetch as store
from tests.conftest import smooth
from tests.support import painter
from tests.support.tiny_graph import espcn_like


def load_stages(stages: list[Stage]) -> Run[list[loading.Upscaler]]:
    """Both halves, one after the other."""
    return (yield from load_fetched((yield from fetch(stages))))


def test_colours_are_not_swapped(own_weights: Path) -> None:
    red = np.broadcast_to(np.array([0.8, 0.2, 0.1], np.float32), (12, 12, 3))
    done = finish(load("espcn", 2).run(red, Settings())).pixels
    np.testing.assert_allclose(done[8:16, 8:16].mean(axis=(0, 1)), red[0, 0], atol=0.02)


@pytest.mark.parametrize("key", ["bicubic", "espcn"])
def test_two_threads_give_what_each_alone_gives(key: str, own_weights: Path) -> None:
    pictures = [smooth(90, 120), smooth(120, 90)[::-1], smooth(64, 64) * np.float32(0.5)]
    settings = Settings(tile=32) if key == "espcn" else Settings()

    def run(pixels: Pixels) -> Pixels:
        return finish(load(key, 2).run(pixels, settings)).pixels

    alone = [run(pixels) for pixels in pictures]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(run, pictures * 4))
    for index, pixels in enumerate(together):
        np.testing.assert_array_equal(pixels, alone[index % len(alone)])


def test_the_same_input_gives_the_same_output(own_weights: Path) -> None:
    first, second = (finish(load("espcn", 3).run(smooth(40, 40), Settings())).pixels for _ in range(2))
    np.testing.assert_array_equal(first, second)


def test_a_loaded_model_is_kept_and_memory_is_bounded(own_weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = load("espcn", 2)
    assert load("espcn", 2) is first
    monkeypatch.setattr(loading, "kept_bytes", lambda: first.nbytes + 1)
    load("espcn", 3)
    assert load("espcn", 2) is not first


def test_a_pinned_model_stays(own_weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pinned = pin("espcn", 2)
    monkeypatch.setattr(loading, "kept_bytes", lambda: 1)
    for scale in (3, 4):
        load("espcn", scale)
    assert load("espcn", 2) is pinned
    assert [scale for _, scale, *_ in loading._kept] == [4, 2]


def test_the_models_of_one_run_stay_together(own_weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Or a chain of two large ones would read each anew in every run, though the run holds both anyway."""
    monkeypatch.setattr(loading, "kept_bytes", lambda: 1)
    chain = [Stage("espcn", 4), Stage("espcn", 2)]
    first = finish(load_stages(chain))
    assert all(again is before for again, before in zip(finish(load_stages(chain)), first, strict=True))
    done = finish(enlarge_by(Picture(smooth(5, 5)), chain))
    assert done.details.scale == 8 and list(loading._kept.values()) == first
    load("espcn", 3)
    assert [scale for _, scale, *_ in loading._kept] == [3]


@pytest.mark.parametrize(("memory", "kept"), [(1, 1), (4, 4 / 3), (24, 8), (0.5, 1)], ids=str)
def test_what_is_kept_grows_with_the_machine(memory: float, kept: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "memory_limit", lambda: int(memory * 2**30))
    assert loading.kept_bytes() == int(kept * 2**30)


def test_a_diffusion_model_and_the_network_after_it_are_both_kept(
    own_weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a machine of 16 GB; and one model at the same scale from the same file is there, and counts, once."""
    monkeypatch.setattr(machine, "memory_limit", lambda: 16 * 10**9)
    build = painter.build
    monkeypatch.setattr(painter, "build", lambda *given: replace(build(*given), nbytes=3_480_000_000))
    painter.use(monkeypatch)
    network, painted = load("espcn", 2), load("painted", 4)
    assert load("espcn", 2) is network and load("painted", 4) is painted and len(loading._kept) == 2
    monkeypatch.setattr(machine, "memory_limit", lambda: 8 * 10**9)
    load("painted", 4)
    assert list(loading._kept.values()) == [painted]
    load("bicubic", 4)
    assert load("painted", 4) is painted, "what takes no memory drives nothing out"


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[threading.Event, list[loading.Upscaler]]]:
    """A diffusion model that is built once the event is set, and what was built."""
    ready, built, build = threading.Event(), list[loading.Upscaler](), painter.build

    def waiting(*given: Any) -> painter.Painter:
        assert ready.wait(60)
        built.append(made := build(*given))
        return made

    monkeypatch.setattr(painter, "build", waiting)
    painter.use(monkeypatch)
    yield ready, built
    ready.set()


@pytest.mark.parametrize(
    "way", [load_stages, lambda stages: enlarge_by(Picture(smooth(5, 5)), stages)], ids=["load", "by"]
)
def test_what_takes_long_to_load_is_named_meanwhile(
    way: Callable[[list[Stage]], Run[Any]], slow: tuple[threading.Event, list[loading.Upscaler]]
) -> None:
    ready, built = slow
    run = way([Stage("painted", 4), Stage("bicubic", 2)])
    assert next(run) == Step(0, 1, "loading Painted x4 and Bicubic") and not built
    ready.set()
    finish(run)
    assert built == [load("painted", 4)]
    assert not [step for step in way([Stage("painted", 4)]) if step.note.startswith("loading")], "it is kept"


def test_who_leaves_while_a_model_loads_waits_for_nothing_and_leaves_it_whole(
    slow: tuple[threading.Event, list[loading.Upscaler]],
) -> None:
    ready, built = slow
    run = load_stages([Stage("painted", 4)])
    next(run)
    run.close()
    assert not built and not loading._kept
    ready.set()
    assert [load("painted", 4)] == built == list(loading._kept.values()), "loaded once, by who left"


def test_the_users_own_file_is_used_and_reported(tmp_path: Path) -> None:
    own = tmp_path / "mine.pb"
    own.write_bytes(espcn_like(2, seed=7))
    (sha256,) = load("espcn", 2, own).weights_sha256
    own.write_bytes(espcn_like(2, seed=8))
    assert load("espcn", 2, own).weights_sha256 != (sha256,)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is empty"),
        (b"not a network" * 50, "is damaged or not a file of weights"),
        (espcn_like(3), "upscales by 3, not by 2"),
        (espcn_like(2)[:-40], "is damaged or not a file of weights"),
    ],
    ids=["empty", "text", "x3", "cut short"],
)
def test_a_file_that_is_no_such_network_is_refused(content: bytes, said: str, tmp_path: Path) -> None:
    own = tmp_path / "mine.pb"
    own.write_bytes(content)
    with pytest.raises(BadWeights, match=rf"^mine\.pb {said}\.$"):
        load("espcn", 2, own)


@pytest.mark.parametrize("tile", [-1, 0, 15, 5000])
def test_a_tile_out_of_range_is_refused(tile: int, own_weights: Path) -> None:
    with pytest.raises(BadSetting, match=f"A tile for ESPCN has 16 to 4096 pixels a side, not {tile}"):
        finish(load("espcn", 2).run(smooth(8, 8), Settings(tile=tile)))


def test_a_setting_the_model_cannot_use_is_refused() -> None:
    for refused in (
        enlarge_by(Picture(smooth(8, 8)), [Stage("lanczos", 2)], Settings(noise_level=3)),
        enlarge(Picture(smooth(8, 8)), [load("lanczos", 2)], Settings(noise_level=3)),
    ):
        with pytest.raises(BadSetting, match=r"Lanczos cannot use the setting noise level\."):
            finish(refused)


@pytest.mark.parametrize("model", catalog.MODELS, ids=lambda model: model.key)
def test_every_engine_exists(model: catalog.Model) -> None:
    assert importlib.util.find_spec(loading.ENGINES[model.engine])


def test_every_stage_is_loaded(own_weights: Path) -> None:
    stages = finish(load_stages([Stage("espcn", 4), Stage("bicubic", 2)]))
    assert [(stage.model.key, stage.scale) for stage in stages] == [("espcn", 4), ("bicubic", 2)]


@pytest.fixture
def looked_for(monkeypatch: pytest.MonkeyPatch) -> list[Weights]:
    """The weights whose files are looked for on this machine, once for each time."""
    seen: list[Weights] = []
    find = store.find
    monkeypatch.setattr(store, "find", lambda needed: seen.append(needed) or find(needed))
    return seen


def test_files_are_looked_for_once_a_run(own_weights: Path, looked_for: list[Weights]) -> None:
    """Which means to hash them, gigabytes perhaps; a weight that two stages share once for both."""
    chain = [Stage("espcn", 2), Stage("bicubic", 2), Stage("espcn", 2), Stage("espcn", 3)]
    finish(enlarge_by(Picture(smooth(5, 5)), chain))
    assert looked_for == [Stage("espcn", 2).weights, Stage("espcn", 3).weights]


def test_what_was_fetched_is_loaded_without_looking_for_it_again(own_weights: Path, looked_for: list[Weights]) -> None:
    """In another process perhaps, whose time is on a GPU: what goes there is data that can be pickled."""
    fetched = pickle.loads(pickle.dumps(finish(loading.fetch([Stage("espcn", 2)]))))
    assert len(looked_for) == 1
    here = finish(enlarge_fetched(Picture(smooth(5, 5)), fetched))
    assert len(looked_for) == 1
    np.testing.assert_array_equal(
        here.picture.pixels, finish(enlarge_by(Picture(smooth(5, 5)), [Stage("espcn", 2)])).picture.pixels
    )


def test_settings_are_refused_before_anything_is_fetched(looked_for: list[Weights]) -> None:
    for stage, settings in ((Stage("sd-x4", 4), Settings(steps=0)), (Stage("espcn", 2), Settings(prompt="a cat"))):
        with pytest.raises(BadSetting):
            finish(enlarge_by(Picture(smooth(4, 4)), [stage], settings))
    assert looked_for == []


def test_files_for_a_model_that_needs_none_are_refused(tmp_path: Path) -> None:
    with pytest.raises(BadSetting, match=r"Bicubic needs no weights\."):
        load("bicubic", 2, tmp_path)
