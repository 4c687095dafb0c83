"""DISTS: what the authors' code gives, in strips of any height; and its files: found, kept, refused, pulled."""

import hashlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from scipy.io import savemat

from pipelines.catalog import rows as catalog
from pipelines.errors import BadWeights, WeightsUnavailable
from pipelines.measuring.metrics import dists
from pipelines.measuring.metrics.dists import Dists, measure_distance
from pipelines.measuring.metrics.metric import Judges, Sample, Scores
from pipelines.measuring.metrics.scores import fetch_judges, score
from pipelines.runs import finish
from tests.support.dists import BACKBONE, CHANNELS, HEADS, PAIRS, draw_pair, make_backbone, make_heads
from tests.support.hub import LoopbackHub, serve_metric, use
from tests.support.pictures import pair

# What the authors' module (dingkeyan93/DISTS@1267d8c, DISTS_pytorch/DISTS_pt.py) gives for PAIRS in float64, on
# `make_backbone` in place of torchvision's VGG16: with `make_heads`, and with the published weights of the channels. In
# float32 it gives the same to 2e-6, but for two pairs: its covariances lose their digits where hardly anything varies,
# by up to 7e-4 ("hardly any variance") and 0.02 ("flat").
EXPECTED = {
    "random": (0.071526584, 0.072544447),
    "odd": (0.151680908, 0.107495505),
    "hardly any variance": (0.001101894, 0.059120602),
    "saturated": (0.075458078, 0.078299654),
    "an edge": (0.000042625, 0.000008645),
    "one pixel": (0.014112521, 0.047040579),
    "one row": (0.004731242, 0.071441431),
    "tiny": (0.004729830, 0.109536955),
    "grey": (0.018758360, 0.027958920),
    "identical": (0.0, 0.0),
    "flat": (0.001800523, 0.001479034),
}


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a random network in files as they are published."""
    folder = tmp_path_factory.mktemp("dists")
    torch.save(make_backbone(), folder / BACKBONE)
    savemat(folder / HEADS, make_heads())
    return folder


@pytest.fixture(scope="module")
def network(files: Path) -> Dists:
    return dists.read_dists(files / HEADS, files / BACKBONE)


@pytest.fixture
def own(files: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("UPSCALE_WEIGHTS_DIR", str(files))
    return files


@pytest.mark.parametrize("name", PAIRS)
def test_it_equals_the_authors_code(name: str, network: Dists) -> None:
    assert finish(measure_distance(network, *draw_pair(name))) == pytest.approx(EXPECTED[name][0], abs=1e-5)


@pytest.mark.parametrize("name", PAIRS)
def test_it_equals_the_authors_code_with_their_weights_of_the_channels(name: str, assets: Path, files: Path) -> None:
    heads = assets / "weights" / "dists" / HEADS
    if not heads.is_file():
        pytest.skip("the published weights of the channels are not here")
    (file,) = catalog.METRIC_FILES["dists"]["heads"].files
    assert (hashlib.sha256(heads.read_bytes()).hexdigest(), heads.stat().st_size) == (file.sha256, file.size)
    network = dists.read_dists(heads, files / BACKBONE)
    assert finish(measure_distance(network, *draw_pair(name))) == pytest.approx(EXPECTED[name][1], abs=1e-5)


@pytest.mark.parametrize("size", [(97, 61), (16, 40), (1, 33), (50, 1)], ids=str)
@pytest.mark.parametrize("rows", [1, 5, 16, 33])
def test_strips_equal_the_whole(
    rows: int, size: tuple[int, int], network: Dists, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each layer keeps what its next window reads, so nothing is left but float32's rounding."""
    x, y = pair("random", *size)
    whole = finish(measure_distance(network, x, y))
    monkeypatch.setattr(dists, "STRIP_PIXELS", rows * size[1])
    steps = [step.done for step in measure_distance(network, x, y)]
    assert len(steps) == -(-size[0] // rows) and steps[-1] == size[0]
    assert finish(measure_distance(network, x, y)) == pytest.approx(whole, abs=5e-7)


def test_no_strip_grows_with_the_width(network: Dists, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dists, "STRIP_PIXELS", 20)
    x, y = pair("random", 3, 40)
    assert [step.done for step in measure_distance(network, x, y)] == [1, 2, 3]


def test_equal_pictures_are_0_and_grey_is_three_channels(network: Dists) -> None:
    for name in ("random", "flat", "one pixel", "near white"):
        x, y = draw_pair(name) if name in PAIRS else pair(name, 40, 30)
        assert finish(measure_distance(network, x, x)) == 0
        assert finish(measure_distance(network, x, y)) > 0
    x, y = pair("random", 50, 60)
    grey = finish(measure_distance(network, x[..., 0], y[..., 0]))
    assert grey == finish(measure_distance(network, *(np.repeat(z[..., :1], 3, axis=2) for z in (x, y))))


def scored(x: npt.NDArray[np.uint8], y: npt.NDArray[np.uint8], judge: Dists) -> Scores:
    """All scores at x2."""
    return finish(score(Sample(x, y, x[::2, ::2], 2, Judges({"dists": judge}, {"lpips": "", "niqe": ""}))))


def test_score_takes_it_uncropped(network: Dists) -> None:
    x, y = pair("random", 32, 32)
    assert scored(x, y, network).values["dists"] == finish(measure_distance(network, x, y))


def test_damaged_numbers_are_no_score(files: Path) -> None:
    broken = dists.read_dists(files / HEADS, files / BACKBONE)
    for parameter in broken.network.parameters():
        parameter.data.fill_(float("nan"))
    scores = scored(*pair("shapes", 64, 64), broken)
    assert scores.values["dists"] is None and "dists came out as no number: its files are damaged" in scores.notes
    assert scores.values["psnr"] is not None


def test_loaded_once_for_all_threads(own: Path) -> None:
    with ThreadPoolExecutor(4) as pool:
        loaded = list(pool.map(lambda _: dists.load_dists(), range(8)))
    assert all(each is loaded[0] for each in loaded)
    assert loaded[0].weights_sha256 == tuple(
        hashlib.sha256((own / name).read_bytes()).hexdigest() for name in (HEADS, BACKBONE)
    )


def test_what_lacks_is_named_with_its_size_and_without_a_command() -> None:
    with pytest.raises(WeightsUnavailable, match=r"^DISTS is not installed here \(553 MB\)\.$"):
        dists.load_dists()


WRONG_HEADS: dict[str, Any] = {
    "text": b"<html>404</html>",
    "nothing": b"",
    "cut off": b"MATLAB 5.0 MAT-file, Platform: PCWIN64",
    "lacking": {"alpha": np.ones(CHANNELS)},
    "shape": {"alpha": np.ones(7), "beta": np.ones(CHANNELS)},
    "words": {"alpha": "many", "beta": np.ones(CHANNELS)},
    "no numbers": {"alpha": np.full(CHANNELS, np.nan), "beta": np.ones(CHANNELS)},
    "negative": {"alpha": np.ones(CHANNELS), "beta": -np.ones(CHANNELS)},
    "all zero": {"alpha": np.zeros(CHANNELS), "beta": np.zeros(CHANNELS)},
}


@pytest.mark.parametrize("kind", WRONG_HEADS)
def test_heads_that_do_not_fit_are_named(kind: str, own: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wrong = WRONG_HEADS[kind]
    if isinstance(wrong, bytes):
        (tmp_path / HEADS).write_bytes(wrong)
    else:
        savemat(tmp_path / HEADS, wrong)
    (tmp_path / BACKBONE).symlink_to(own / BACKBONE)
    monkeypatch.setenv("UPSCALE_WEIGHTS_DIR", str(tmp_path))
    with pytest.raises(BadWeights, match=r"^alpha_beta\.mat does not hold the weights of DISTS\.$"):
        dists.load_dists()


@pytest.mark.parametrize("kind", ["text", "lacking", "shape"])
def test_a_backbone_that_does_not_fit_is_named(kind: str, files: Path, tmp_path: Path) -> None:
    name = "features.28.weight"
    state = {key: value for key, value in make_backbone().items() if key != name}
    if kind == "text":
        (tmp_path / BACKBONE).write_text("<html>404</html>")
    else:
        torch.save(state | ({name: torch.zeros(512, 512, 1, 1)} if kind == "shape" else {}), tmp_path / BACKBONE)
    with pytest.raises(BadWeights, match=r"^vgg16-397923af\.pth does not fit DISTS with VGG16\.$"):
        dists.read_dists(files / HEADS, tmp_path / BACKBONE)


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[LoopbackHub]:
    with LoopbackHub() as server:
        use(server.url, tmp_path / "home", monkeypatch)
        yield server


def test_prepare_pulls_what_lacks(hub: LoopbackHub, files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each file from its own publisher, once; then it is here without any network."""
    serve_metric(hub, "dists", files, monkeypatch)
    loaded = finish(fetch_judges(["dists"])).loaded["dists"]
    assert dists.load_dists() is loaded
    assert [asked.path for asked in hub.asked if asked.method == "GET"] == list(hub.files)
