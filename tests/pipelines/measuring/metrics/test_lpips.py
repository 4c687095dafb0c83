"""LPIPS against a plain float64 version of the whole picture, and its files: found, kept, refused, pulled."""

import hashlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from torch.nn import functional as F  # noqa: N812 - as everybody calls it

from pipelines.catalog import rows as catalog
from pipelines.errors import BadWeights, WeightsUnavailable
from pipelines.measuring.metrics import lpips
from pipelines.measuring.metrics.lpips import Lpips, measure_distance
from pipelines.measuring.metrics.metric import Judges, Sample, Scores
from pipelines.measuring.metrics.scores import fetch_judges, score
from pipelines.runs import finish
from tests.support.hub import LoopbackHub, serve_metric, use
from tests.support.pictures import KINDS, pair

HEADS, BACKBONE = "alex.pth", "alexnet-owt-7be5be79.pth"
SHAPES = {0: (64, 3, 11), 3: (192, 64, 5), 6: (384, 192, 3), 8: (256, 384, 3), 10: (256, 256, 3)}
PADDING = {0: 2, 3: 2, 6: 1, 8: 1, 10: 1}


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a random network in files as they are published: AlexNet's real shape, heads that are positive."""
    folder, random = tmp_path_factory.mktemp("lpips"), torch.Generator().manual_seed(0)
    backbone = {"classifier.1.weight": torch.zeros(2, 2)}
    for number, (out, into, side) in SHAPES.items():
        deviation = (2 / (into * side**2)) ** 0.5
        backbone[f"features.{number}.weight"] = deviation * torch.randn(out, into, side, side, generator=random)
        backbone[f"features.{number}.bias"] = 0.1 * torch.randn(out, generator=random)
    heads = {
        f"lin{layer}.model.1.weight": torch.rand(1, shape[0], 1, 1, generator=random)
        for layer, shape in enumerate(SHAPES.values())
    }
    torch.save(backbone, folder / BACKBONE)
    torch.save(heads, folder / HEADS)
    return folder


@pytest.fixture(scope="module")
def network(files: Path) -> Lpips:
    return Lpips(lpips.read_lpips(files / HEADS, files / BACKBONE), ())


@pytest.fixture
def own(files: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("UPSCALE_WEIGHTS_DIR", str(files))
    return files


def plainly(x: npt.NDArray[np.uint8], y: npt.NDArray[np.uint8], heads: Path, backbone: Path) -> float:
    """Section 3 of the paper, on the whole picture in float64."""
    weights = torch.load(backbone, weights_only=True)
    scales = torch.load(heads, weights_only=True, map_location="cpu")

    def features(picture: npt.NDArray[np.uint8]) -> list[torch.Tensor]:
        signal = torch.from_numpy(picture.astype(np.float64)).permute(2, 0, 1)[None] / 127.5 - 1
        shift, scale = torch.tensor([[-0.030, -0.088, -0.188], [0.458, 0.448, 0.450]], dtype=torch.float64)
        signal, layers = (signal - shift[:, None, None]) / scale[:, None, None], []
        for number, padding in PADDING.items():
            if number in (3, 6):
                signal = F.max_pool2d(signal, 3, 2)
            kernel, bias = (weights[f"features.{number}.{kind}"].double() for kind in ("weight", "bias"))
            signal = F.conv2d(signal, kernel, bias, stride=1 if number else 4, padding=padding).clamp(min=0)
            layers.append(signal / (signal.square().sum(dim=1, keepdim=True).sqrt() + 1e-10))
        return layers

    total = 0.0
    for layer, (one, other) in enumerate(zip(features(x), features(y), strict=True)):
        scale = scales[f"lin{layer}.model.1.weight"].double()
        total += float(((one - other) ** 2 * scale).sum(dim=1).mean())
    return total


@pytest.mark.parametrize("size", [(31, 31), (64, 48), (203, 97)], ids=str)
@pytest.mark.parametrize("kind", KINDS)
def test_equals_a_plain_version(kind: str, size: tuple[int, int], network: Lpips, files: Path) -> None:
    x, y = pair(kind, *size)
    expected = plainly(x, y, files / HEADS, files / BACKBONE)
    assert expected > 0
    assert finish(measure_distance(network, x, y)) == pytest.approx(expected, abs=1e-6, rel=1e-5)


def test_the_published_heads(assets: Path, files: Path) -> None:
    heads = assets / "weights" / "lpips" / "v0.1" / "alex.pth"
    (file,) = catalog.METRIC_FILES["lpips"]["heads"].files
    assert (hashlib.sha256(heads.read_bytes()).hexdigest(), heads.stat().st_size) == (file.sha256, file.size)
    x, y = pair("shapes", 90, 70)
    ours = finish(measure_distance(Lpips(lpips.read_lpips(heads, files / BACKBONE), ()), x, y))
    assert ours == pytest.approx(plainly(x, y, heads, files / BACKBONE), abs=1e-6)


@pytest.mark.parametrize("size", [(31, 31), (209, 40), (400, 64), (401, 33), (31, 300)], ids=str)
@pytest.mark.parametrize("rows", [16, 32, 112])
def test_strips_equal_the_whole(
    rows: int, size: tuple[int, int], network: Lpips, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A strip sees everything that the network does, so nothing is left but float32's rounding."""
    x, y = pair("random", *size)
    whole = finish(measure_distance(network, x, y))
    monkeypatch.setattr(lpips, "LPIPS_STRIP_PIXELS", rows * size[1])
    steps = [step.done for step in measure_distance(network, x, y)]
    assert len(steps) == -(-size[0] // rows) and steps[-1] == size[0]
    assert finish(measure_distance(network, x, y)) == pytest.approx(whole, abs=2e-7)


def test_equal_pictures_are_0_and_grey_is_three_channels(network: Lpips) -> None:
    x, y = pair("random", 50, 60)
    assert finish(measure_distance(network, x, x)) == 0
    grey = finish(measure_distance(network, x[..., 0], y[..., 0]))
    assert grey == finish(measure_distance(network, *(np.repeat(z[..., :1], 3, axis=2) for z in (x, y))))


def scored(x: npt.NDArray[np.uint8], y: npt.NDArray[np.uint8], lpips: Lpips) -> Scores:
    """All scores at x2."""
    return finish(score(Sample(x, y, x[::2, ::2], 2, Judges({"lpips": lpips}, {"dists": "left out"}))))


def test_score_takes_it_uncropped_or_says_why_not(network: Lpips) -> None:
    x, y = pair("random", 32, 32)
    assert scored(x, y, network).values["lpips"] == finish(measure_distance(network, x, y))
    scores = scored(x[:30], y[:30], network)
    assert scores.values["lpips"] is None and "lpips needs 31 pixels a side; here are 30" in scores.notes


def test_the_bound_is_alexnets_own(network: Lpips) -> None:
    x, y = pair("random", 30, 40)
    with pytest.raises(RuntimeError, match="too small"):
        finish(measure_distance(network, x, y))


def test_loaded_once_for_all_threads(own: Path) -> None:
    with ThreadPoolExecutor(4) as pool:
        loaded = list(pool.map(lambda _: lpips.load_lpips(), range(8)))
    assert all(each is loaded[0] for each in loaded)
    assert loaded[0].weights_sha256 == tuple(
        hashlib.sha256((own / name).read_bytes()).hexdigest() for name in (HEADS, BACKBONE)
    )


def test_what_lacks_is_named_with_its_size_and_without_a_command() -> None:
    with pytest.raises(WeightsUnavailable, match=r"^LPIPS is not installed here \(244 MB\)\.$"):
        lpips.load_lpips()


def garbage(heads: dict[str, Any]) -> dict[str, Any]:
    """What may lie in the place of the heads."""
    name = "lin1.model.1.weight"
    return {
        "text": b"<html>404</html>",
        "nothing": b"",
        "zip": b"PK\x03\x04 cut off",
        "pickle": b"\x80\x02cos\nsystem\n(S'true'\ntR.",
        "list": [1, 2, 3],
        "lacking": {key: value for key, value in heads.items() if key != name},
        "shape": heads | {name: torch.zeros(1, 100, 1, 1)},
        "no tensor": heads | {name: "weight"},
    }


@pytest.mark.parametrize("kind", garbage({}))
def test_a_file_that_does_not_fit_is_named(
    kind: str, own: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong = garbage(torch.load(own / HEADS, weights_only=True))[kind]
    if isinstance(wrong, bytes):
        (tmp_path / HEADS).write_bytes(wrong)
    else:
        torch.save(wrong, tmp_path / HEADS)
    (tmp_path / BACKBONE).symlink_to(own / BACKBONE)
    monkeypatch.setenv("UPSCALE_WEIGHTS_DIR", str(tmp_path))
    with pytest.raises(BadWeights, match=r"^alex\.pth does not fit LPIPS with AlexNet, version 0\.1\.$"):
        lpips.load_lpips()


def test_heads_in_the_backbones_place(own: Path, tmp_path: Path) -> None:
    with pytest.raises(BadWeights, match=r"^alex\.pth does not fit"):
        lpips.read_lpips(own / HEADS, own / HEADS)


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[LoopbackHub]:
    with LoopbackHub() as server:
        use(server.url, tmp_path / "home", monkeypatch)
        yield server


def test_prepare_pulls_what_lacks(hub: LoopbackHub, files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each file from its own publisher, once; then it is here without any network."""
    serve_metric(hub, "lpips", files, monkeypatch)
    loaded = finish(fetch_judges(["lpips"])).loaded["lpips"]
    assert lpips.load_lpips() is loaded
    assert [asked.path for asked in hub.asked if asked.method == "GET"] == list(hub.files)


def test_damaged_numbers_are_no_score(files: Path, network: Lpips) -> None:
    broken = lpips.read_lpips(files / HEADS, files / BACKBONE)
    for parameter in broken.parameters():
        parameter.data.fill_(float("nan"))
    x, y = pair("shapes", 64, 64)
    scores = scored(x, y, Lpips(broken, ()))
    assert scores.values["lpips"] is None and "lpips came out as no number: its files are damaged" in scores.notes
    assert scores.values["psnr"] is not None
