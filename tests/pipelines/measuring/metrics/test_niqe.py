"""NIQE: what BasicSR's function gives, and what it cannot be had of."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from pipelines.enlarge import enlarge
from pipelines.errors import BadWeights, WeightsUnavailable
from pipelines.images import door as images
from pipelines.images.picture import Picture, Pixels8
from pipelines.measuring.metrics import networks
from pipelines.measuring.metrics.metric import Judges, Sample, Scores
from pipelines.measuring.metrics.niqe import NIQE, Pristine, halve, load_niqe, read_niqe
from pipelines.measuring.run import (
    Plan,
    as_scored,
    decide,
    list_subjects,
    read_trial,
    resolve_contenders,
    run,
    summarise,
)
from pipelines.report.summary_table import make_summary_table
from pipelines.runs import finish
from pipelines.upscalers.loading import load

# By seed, of the pictures that `picture` draws, with the statistics that `pristine` makes up: what BasicSR's `niqe`
# (XPixelGroup/BasicSR@8d56e3a, basicsr/metrics/niqe.py) gives for their luma.
EXPECTED = {
    0: 16.933847,
    1: 16.727225,
    2: 16.52065,
    3: 16.981122,
    4: 17.054246,
    5: 17.127384,
    6: 17.224191,
    7: 16.841559,
    8: 16.291942,
    9: 16.722637,
}
SIZES = [(192, 192), (200, 300), (96, 200), (300, 97), (289, 385)]


def picture(seed: int) -> Pixels8:
    """A picture of soft shapes, edges and some noise; every fifth is grey."""
    random = np.random.default_rng(seed)
    height, width = SIZES[seed % len(SIZES)]
    rows, columns = np.mgrid[:height, :width]
    planes = []
    for _ in range(1 if seed % 5 == 4 else 3):
        period, angle = random.uniform(7, 60), random.uniform(0, 6)
        wave = np.sin((rows * np.cos(angle) + columns * np.sin(angle)) / period)
        planes.append(128 + 60 * wave + 40 * (wave > 0.3) + random.normal(0, 3 + seed, wave.shape))
    made = np.clip(np.stack(planes, axis=-1), 0, 255).astype(np.uint8)
    return made[..., 0] if made.shape[2] == 1 else made


def pristine() -> Pristine:
    """Made up, so that no test needs the published ones: a window as those have, and features spread about 1."""
    random = np.random.default_rng(7)
    spread = random.normal(0, 0.1, (36, 36))
    place = np.arange(7) - 3
    line = np.exp(-np.square(place) / (2 * (7 / 6) ** 2))
    window = np.outer(line, line) / line.sum() ** 2
    return Pristine(random.uniform(0.2, 1.2, 36), spread @ spread.T + 0.05 * np.eye(36), window, ("made",))


def measured(output: Pixels8, judge: Pristine | None = None) -> Scores:
    low: npt.NDArray[np.uint8] = output[: output.shape[0] // 2, : output.shape[1] // 2]
    return finish(NIQE.of(Sample(None, output, low, 2, Judges({"niqe": judge or pristine()}))))


@pytest.mark.parametrize("seed", range(10))
def test_it_equals_basicsr(seed: int) -> None:
    assert measured(picture(seed)).values["niqe"] == pytest.approx(EXPECTED[seed], abs=1e-3)


def test_halving_is_matlabs() -> None:
    """Of one bright pixel the kernel is left, at every second place of it; a flat plane stays flat to its border."""
    plane = np.zeros((16, 16))
    plane[8, 8] = 256.0**2
    np.testing.assert_allclose(halve(plane)[4], np.array([0, 0, -3, 29, 111, -9, 0, 0]) * 111.0)
    np.testing.assert_allclose(halve(np.full((8, 6), 7.0)), np.full((4, 3), 7.0))


@pytest.mark.parametrize("shape", [(95, 400), (96, 96), (191, 191, 3)])
def test_too_small_an_image_is_told(shape: tuple[int, ...]) -> None:
    scores = measured(np.zeros(shape, np.uint8))
    assert not scores.values and scores.notes[0].startswith("niqe needs 2 blocks of 96 by 96 pixels; here are ")


def test_a_flat_image_has_none() -> None:
    assert measured(np.full((192, 192), 90, np.uint8)).notes == (
        "niqe cannot be computed for an image that is flat almost everywhere",
    )


def test_noise_is_less_natural_than_a_photograph(assets: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the published parameters, where they are at hand."""
    from pipelines.images import door as images

    file = next(iter((assets / "images" / "Kodak24").glob("*.png")))
    photograph = (images.read(file).pixels * 255).round().astype(np.uint8)
    try:
        judge = load_niqe()
    except WeightsUnavailable:
        pytest.skip("the published parameters are not here")
    noisy = np.clip(photograph + np.random.default_rng(0).normal(0, 40, photograph.shape), 0, 255).astype(np.uint8)
    natural, spoilt = (measured(each, judge).values["niqe"] for each in (photograph, noisy))
    assert natural is not None and spoilt is not None and natural < spoilt


def test_another_file_is_refused(tmp_path: Path) -> None:
    made = pristine()
    np.savez(
        tmp_path / "a.npz", mu_pris_param=made.mean[None], cov_pris_param=made.covariance, gaussian_window=made.window
    )
    read = read_niqe(tmp_path / "a.npz", "hash")
    np.testing.assert_array_equal(read.mean, made.mean)
    assert read.weights_sha256 == ("hash",)
    np.savez(
        tmp_path / "b.npz", mu_pris_param=made.mean[:5], cov_pris_param=made.covariance, gaussian_window=made.window
    )
    (tmp_path / "c.npz").write_bytes(b"no archive")
    np.savez(tmp_path / "d.npz", mu_pris_param=np.array([{}], object), cov_pris_param=1, gaussian_window=1)
    for name in "bcd":
        with pytest.raises(BadWeights, match=rf"^{name}\.npz does not hold the parameters of NIQE\.$"):
            read_niqe(tmp_path / f"{name}.npz", "hash")


def test_without_its_file_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(networks.weights, "find", lambda needed: None)
    with pytest.raises(WeightsUnavailable, match=r"^NIQE is not installed here \(12 kB\)\.$"):
        load_niqe()


@pytest.mark.parametrize("protocol", ["round-trip", "no-original"])
def test_a_column_of_every_benchmark(protocol: str, tmp_path: Path) -> None:
    """Measured on what a file would hold, shown to everybody, and last among the scores of the files."""
    images.write(Picture(picture(1)[..., :3].astype(np.float32) / 255), tmp_path / "one.png")
    contenders = resolve_contenders(protocol, 2, ["nearest", "bicubic"], [])
    plan = Plan(protocol, 2, "bicubic", contenders, repeats=0)
    subjects, _ = list_subjects([tmp_path / "one.png"])
    judges = Judges({"niqe": pristine()}, {"lpips": "It is not here.", "dists": "It is not here."})
    rows = finish(run(plan, subjects, judges))
    bicubic = finish(enlarge(finish(read_trial(subjects[0], plan)).low, [load("bicubic", 2)])).picture
    expected = measured(as_scored(bicubic)).values["niqe"]
    assert rows[1].scores["niqe"] == pytest.approx(expected) and rows[0].scores["niqe"] != rows[1].scores["niqe"]
    table = make_summary_table(rows, summarise(rows))
    assert [column.name for column in table.columns if column.main and column.name == "NIQE"] == ["NIQE"]
    least = min(rows, key=lambda each: each.scores["niqe"] or 0.0)
    found = decide(rows)
    assert found.natural is not None and found.natural.models[0] == least.model
    if protocol == "no-original":
        assert found.ranking is not None and found.ranking.metric is NIQE
