"""For how long a GPU is borrowed, what that costs a visitor, and what is offered where it is too much."""

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import gradio as gr
import numpy as np
import pytest

from pipelines import estimates
from pipelines.catalog.rows import Stage
from pipelines.catalog.settings import Settings
from pipelines.errors import BadSetting
from pipelines.images import door as images
from pipelines.images.picture import Picture
from pipelines.measuring.run import REPEATS
from pipelines.runs import Step, finish, send
from pipelines.upscalers import rates
from tests.conftest import smooth
from tests.support import painter
from ui import api
from ui.jobs import comparing, enlarging, gpu, loans
from ui.widgets import chain_choice, comparison_form, wanted


@pytest.fixture
def painted(monkeypatch: pytest.MonkeyPatch) -> list[Stage]:
    """A diffusion model that takes a second for each pass over 100 by 100 pixels."""
    painter.use(monkeypatch)
    return [Stage("painted", 4)]


def test_a_diffusion_model_is_lent_a_gpu_for_as_long_as_it_will_take(painted: list[Stage]) -> None:
    for steps, size, taken in ((4, (100, 100), 7), (17, (100, 100), 20), (4, (200, 100), 14)):
        assert loans.plan_picture_loan(painted, Settings(steps=steps), size) == round(
            loans.LOADING_SECONDS + loans.find_margin(1) * taken
        )
    assert loans.plan_picture_loan(painted, Settings(steps=200), (300, 300)) == loans.LONGEST_LOAN


def test_a_network_is_lent_a_gpu_for_as_long_as_it_will_take(monkeypatch: pytest.MonkeyPatch) -> None:
    """A flat minute would be refused to who has less of their quota left, and would end what takes longer."""
    monkeypatch.setattr(loans, "zero_gpu", lambda: True)
    network = [Stage("real-esrgan", 4)]

    def lent(taken: float | None, stages: list[Stage] = network, runs: int = 1, side: int = 64) -> int:
        monkeypatch.setattr(estimates, "estimate_each", lambda *_: [estimates.Estimate(taken, 0, False, runs)])
        return loans.plan_picture_loan(stages, None, (side, side))

    assert [lent(taken) for taken in (0.1, 10, 100)] == [10, 25, 160], "10 s to start, and half as long again"
    assert lent(180) == lent(230) == loans.LONGEST_LOAN
    with pytest.raises(BadSetting, match=r"about 4 min after 10 s to load, .* 4 min: choose a smaller image\.$"):
        lent(231)
    assert lent(231, [Stage("espcn", 4)]) == loans.LONGEST_LOAN, "it borrows none"
    assert [lent(None, runs=0, side=side) for side in (64, 256, 512, 1000)] == [10, 15, 31, 90], (
        "by its size, if nobody knows"
    )


def test_the_margin_shrinks_with_each_run(painted: list[Stage]) -> None:
    """From twice what is believed to a fifth more than what was timed; a start of the program forgets nothing."""
    assert [round(loans.find_margin(runs), 2) for runs in (0, 1, 2, 3, 4, 100)] == [2.0, 1.5, 1.33, 1.25, 1.2, 1.2]
    settings, asked = Settings(steps=4), []
    for _ in range(4):
        rates._learned = None
        asked.append(loans.plan_picture_loan(painted, settings, (200, 100)) - loans.LOADING_SECONDS)
        rates.learn("painted", 4, 100, 100, 7.0, settings=settings)
    assert asked == [21, 19, 18, 17], "for 14 s"
    rates.learn("painted", 4, 100, 100, 7.0, None, "cuda, float16", settings)
    assert loans.plan_picture_loan(painted, settings, (200, 100)) == loans.LOADING_SECONDS + 21, "of another device"


def test_opacity_and_16_bits_are_lent_more_time(painted: list[Stage], monkeypatch: pytest.MonkeyPatch) -> None:
    """Networks enlarge opacity as well, unless it is the same everywhere, and compute 16 bits in float32."""
    monkeypatch.setattr(
        estimates, "estimate_each", lambda stages, *_: [estimates.Estimate(10, 0, False, 1) for _ in stages]
    )
    monkeypatch.setattr(loans, "zero_gpu", lambda: True)
    pixels = smooth(8, 8)
    network, opacity, flat = [Stage("real-esrgan", 4)], pixels[..., 0], np.ones((8, 8), np.float32)
    asked = [
        loans.plan_picture_loan(network, None, (8, 8), picture)
        for picture in (Picture(pixels), Picture(pixels, flat), Picture(pixels, opacity), Picture(pixels, depth=16))
    ]
    assert asked == [25, 25, 40, 10 + round(1.5 * 10 * loans.FLOAT32_SLOWDOWN)]
    assert loans.plan_picture_loan(network, None, (8, 8), Picture(pixels, opacity, depth=16)) == loans.LONGEST_LOAN
    assert loans.plan_picture_loan(painted, None, (8, 8), Picture(pixels, opacity)) == 35, "its opacity is bicubic's"


def test_what_would_end_half_way_is_refused_where_gpus_are_lent(
    painted: list[Stage], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loans, "zero_gpu", lambda: True)
    with pytest.raises(
        BadSetting,
        match=r"^That would take about 30 min after 20 s to load, and a GPU is lent for at most 4 min: choose",
    ):
        loans.plan_picture_loan(painted, Settings(steps=200), (300, 300))
    assert loans.plan_picture_loan(painted, Settings(steps=20), (100, 100)) < loans.LONGEST_LOAN


@pytest.mark.parametrize(
    ("stages", "most"), [([Stage("painted", 4)], 220), ([Stage("painted", 4), Stage("twice", 2)], 200)], ids=str
)
def test_what_loading_leaves_no_time_for_is_refused_too(
    stages: list[Stage], most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only what a run may take longer than estimated gives way where all of it would be too long."""
    painter.use(monkeypatch, painter.PAINTED, replace(painter.PAINTED, key="twice", scales={2: None}))
    long = loans.Time(most + 1, 2 * most)
    assert loans.plan_loan(stages, long, "take less") == loans.LONGEST_LOAN, "nothing ends it here"
    monkeypatch.setattr(loans, "zero_gpu", lambda: True)
    assert loans.plan_loan(stages, loans.Time(most, 2 * most), "take less") == loans.LONGEST_LOAN
    with pytest.raises(BadSetting, match="and a GPU is lent for at most 4 min: take less"):
        loans.plan_loan(stages, long, "take less")


def test_each_diffusion_model_of_a_chain_is_given_time_to_begin(
    painted: list[Stage], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second one reads sixteen times the pixels."""
    twice = replace(painter.PAINTED, key="twice", scales={2: None})
    painter.use(monkeypatch, painter.PAINTED, twice)
    rates.learn("twice", 2, 100, 100, 0.07, settings=Settings(steps=4))
    chain, settings = [*painted, Stage("twice", 2)], Settings(steps=4)
    taken = loans.find_margin(2) * 7 + loans.find_margin(1) * 16 * 0.07  # the first one was timed twice
    assert loans.plan_picture_loan(chain, settings, (100, 100)) == round(2 * loans.LOADING_SECONDS + taken)


def test_a_chain_takes_as_long_as_its_stages() -> None:
    first, second = estimates.estimate("espcn", 4, 100, 50).seconds, estimates.estimate("fsrcnn", 2, 400, 200).seconds
    assert first is not None and second is not None
    chain = [Stage("espcn", 4), Stage("fsrcnn", 2)]
    assert loans.estimate_seconds(chain, None, 100, 50) == pytest.approx(first + second)


def test_a_chain_with_a_model_that_was_never_measured_has_no_time() -> None:
    assert loans.estimate_seconds([Stage("edsr", 4), Stage("bicubic", 2)], None, 100, 50) is None


def test_where_a_gpu_is_lent_a_network_after_a_diffusion_model_runs_on_it_too(
    painted: list[Stage], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Real-ESRGAN on 1600 x 1600 takes minutes on a plain processor, by which the chain would be refused."""
    monkeypatch.setenv("UPSCALE_PRECISION", "exact")
    chain = [*painted, Stage("real-esrgan", 2)]
    alone = estimates.estimate("real-esrgan", 2, 1600, 1600).seconds
    assert alone is not None and alone > 100
    here = loans.estimate_seconds(chain, Settings(steps=4), 400, 400)
    monkeypatch.setattr(loans, "zero_gpu", lambda: True)
    there = loans.estimate_seconds(chain, Settings(steps=4), 400, 400)
    assert here is not None and there is not None
    assert here - there == pytest.approx(alone * (1 - 1 / loans.GPU_SPEEDUP))
    assert loans.plan_picture_loan(chain, Settings(steps=4), (400, 400)) <= loans.LONGEST_LOAN
    light = [Stage("espcn", 4)]
    assert loans.estimate_seconds(light, None, 400, 400) == estimates.estimate("espcn", 4, 400, 400).seconds, (
        "it has no use for one"
    )


# --- for how long, to compare -------------------------------------------------------------------------------------


@pytest.fixture
def square(tmp_path: Path) -> Path:
    """A picture that is 100 by 100 when it has been shrunk by 4: the painter takes 23 s, so it is timed once."""
    images.write(Picture(smooth(400, 400)), tmp_path / "square.png")
    return tmp_path / "square.png"


def lent_to_compare(source: Path | list[Path], *models: str, protocol: str = "round-trip") -> int:
    """For how long a GPU would be lent."""
    asked = comparing.start(
        source if isinstance(source, list) else [source], protocol, "x4", "bicubic", list(models), []
    )
    return comparing.gpu_seconds(asked.plan.contenders, [(100, 100)] * len(asked.pictures))


def test_a_comparison_is_lent_a_gpu_for_as_long_as_all_its_runs_will_take(
    painted: list[Stage], square: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scoring = comparing.SCORING_SECONDS * 0.16
    alone = round(loans.LOADING_SECONDS + loans.find_margin(1) * 23 + loans.LEAST_MARGIN * scoring)
    assert lent_to_compare(square, "painted") == alone
    assert alone <= lent_to_compare(square, "painted", "bicubic") <= alone + 1
    network = [loans.estimate_seconds([Stage(key, 4)], None, 100, 100) for key in ("bicubic", "real-esrgan")]
    runs = sum((1 + REPEATS) * once for once in network if once is not None)
    assert lent_to_compare(square, "bicubic", "real-esrgan") == round(
        loans.STARTING_SECONDS + loans.find_margin(0) * runs + loans.LEAST_MARGIN * 2 * scoring
    ), "each of its runs counts"
    asked: list[int] = []
    monkeypatch.setattr(gpu, "can_use_gpu", lambda stages: True)
    monkeypatch.setattr(gpu, "_on_gpu", lambda lent, job, *rest: asked.append(lent) or send(job(*rest)))
    told = finish(comparing.measure(comparing.start([square], "round-trip", "x4", "bicubic", ["painted"], [])))
    assert asked == [alone] and told.rows[0].error is None and told.complete


@pytest.mark.parametrize(
    ("pictures", "models", "instead"),
    [
        (1, ["painted"], "choose a smaller image."),
        (1, ["bicubic", "painted"], "leave out painted, which takes 2.3 h of it, or choose a smaller image."),
        (2, ["bicubic", "painted"], "leave out painted, which takes 4.6 h of it, or choose smaller images, or fewer."),
    ],
)
def test_a_comparison_that_would_end_half_way_is_refused_with_what_to_leave_out(
    pictures: int,
    models: list[str],
    instead: str,
    painted: list[Stage],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """On the page before the run, and by the API; elsewhere than on a Space it takes its time."""
    rates.learn("painted", 4, 100, 100, 7 * 720, settings=Settings(steps=4))  # half of that, with the 7 s before
    paths = [tmp_path / f"{number}.png" for number in range(pictures)]
    for number, path in enumerate(paths):
        images.write(Picture(smooth(400, 400) * np.float32(1 - number / 2)), path)
    asked = "round-trip", "x4", "bicubic", models, []
    assert "would take" not in comparison_form.describe_plan(paths, *asked)
    comparing.start(paths, *asked)
    monkeypatch.setattr(loans, "zero_gpu", lambda: True)
    for refused in (
        lambda: comparison_form.describe_plan(paths, *asked),
        lambda: _error(lambda: comparing.start(paths, *asked)),
    ):
        told = refused()
        assert "and a GPU is lent for at most 4 min: " + instead in told


def test_a_chain_that_would_end_half_way_is_refused_before(
    painted: list[Stage], square: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Scored or not, on the page and by `/chain`."""
    rates.learn("painted", 4, 100, 100, 7 * 720, settings=Settings(steps=4))
    assert "would take" not in chain_choice.describe_plan(square, "painted", "bicubic", True)
    monkeypatch.setattr(loans, "zero_gpu", lambda: True)
    lent = "and a GPU is lent for at most 4 min: "
    assert f"{lent}choose a smaller image" in chain_choice.describe_plan(square, "painted", "bicubic", False)
    assert f"{lent}leave out painted x4 then bicubic x2" in chain_choice.describe_plan(
        square, "painted", "bicubic", True
    )
    assert f"{lent}choose a smaller image" in wanted.describe_plan(square, "painted", "", "x4", "", None, "", None)
    with pytest.raises(gr.Error, match=lent):
        list(api.chain(square, "painted", "bicubic"))


def _error(call: Callable[[], object]) -> str:
    with pytest.raises(BadSetting) as error:
        call()
    return str(error.value)


# --- what it costs, and what fits ---------------------------------------------------------------------------------


def test_the_cost_is_told_before_the_click(painted: list[Stage], square: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On every tab, where a GPU is borrowed and the model uses it; by what the platform takes for a second."""
    monkeypatch.setattr(loans, "quota_factor", lambda: 1.5)

    def plans(model: str) -> list[str]:
        return [
            wanted.describe_plan(square, model, "", "x4", "", None, "", None),
            chain_choice.describe_plan(square, model, "bicubic", False),
            chain_choice.describe_plan(square, model, "bicubic", True),
            comparison_form.describe_plan([square], "round-trip", "x4", "bicubic", [model, "bicubic"], []),
        ]

    assert not any("quota" in plan for plan in plans("painted"))
    monkeypatch.setattr(loans, "zero_gpu", lambda: True)
    rates.learn("painted", 4, 400, 400, 2.8, settings=Settings(steps=4))
    time = loans.estimate_time(painted, Settings(), 400, 400)
    likely, asked = loans.LOADING_SECONDS + time.likely, loans.plan_picture_loan(painted, Settings(), (400, 400))
    told = plans("painted")
    assert f"about {1.5 * likely:.0f} s of your daily GPU quota ({1.5 * asked:.0f} s must be left)" in told[0]
    assert all("s of your daily GPU quota (" in plan for plan in told), told
    assert not any("quota" in plan for plan in plans("swift")), "it runs on the Space's own processors"


@pytest.mark.parametrize(
    ("said", "told"),
    [
        (
            "You have exceeded your free ZeroGPU quota (60s requested vs. 41s left). Try again in 3:20:00. ",
            "The run asks for 60 s of GPU time, and 41 s of your daily quota are left: an image of 150 × 75 would fit, "
            "or choose a model that needs no GPU, or try again in 3:20:00.",
        ),
        (
            "You have exceeded your ZeroGPU quota (60s requested vs. 0s left). Try again in 1 day, 3:20:00. ",
            "The run asks for 60 s of GPU time, and 0 s of your daily quota are left: "
            "choose a model that needs no GPU, or try again in 1 day, 3:20:00.",
        ),
        (
            "The requested GPU duration (240s) is larger than the maximum allowed",
            "The run asks for 240 s of GPU time, which is longer than a GPU is lent to you: "
            "choose a model that needs no GPU.",
        ),
    ],
)
def test_a_refusal_says_what_fits(said: str, told: str, painted: list[Stage], monkeypatch: pytest.MonkeyPatch) -> None:
    """200 by 100 pixels take 14 s after 20 s to load; what would fit is asked for no longer than there is left."""
    monkeypatch.setattr(gpu, "can_use_gpu", lambda stages: True)
    monkeypatch.setattr(gpu, "_on_gpu", lambda *_: raising(gr.Error(said)))
    with pytest.raises(loans.OverQuota) as error:
        finish(enlarging.enlarge_picture(Picture(smooth(100, 200)), painted, Settings(steps=4)))
    if " 150 × 75 " in told:
        (fitting,) = [int(side) for side in re.findall(r"of (\d+) ×", str(error.value))]
        asked = [loans.plan_picture_loan(painted, Settings(steps=4), (side, side // 2)) for side in (fitting, 200)]
        assert asked[0] <= 41 / loans.quota_factor() < asked[1] + 1
        told = told.replace("150 × 75", f"{fitting} × {fitting // 2}")
    assert str(error.value) == told


def test_a_refused_comparison_says_whom_to_leave_out(
    painted: list[Stage], square: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refusal = gr.Error("You have exceeded your ZeroGPU quota (60s requested vs. 30s left). Try again in 3:20:00.")
    monkeypatch.setattr(gpu, "can_use_gpu", lambda stages: True)
    monkeypatch.setattr(gpu, "_on_gpu", lambda *_: raising(refusal))
    asked = comparing.start([square], "round-trip", "x4", "bicubic", ["bicubic", "painted", "lanczos"], [])
    with pytest.raises(
        loans.OverQuota, match=r"left: comparing bicubic and lanczos would fit, or choose a smaller image, or"
    ):
        finish(comparing.measure(asked))


def test_a_run_that_took_too_long_asks_for_more_next_time(
    painted: list[Stage], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gpu, "can_use_gpu", lambda stages: True)
    monkeypatch.setattr(gpu, "_on_gpu", lambda *_: raising(gr.Error("GPU task aborted")))
    settings, size = Settings(steps=4), (200, 100)
    before = loans.plan_picture_loan(painted, settings, size)
    with pytest.raises(loans.TakenBack, match=r"^The GPU was taken back before .* Run it again: it will ask for more"):
        finish(enlarging.enlarge_picture(Picture(smooth(100, 200)), painted, settings))
    assert loans.plan_picture_loan(painted, settings, size) > 1.5 * before


def raising(error: Exception) -> Iterator[Step]:
    raise error
    yield
