"""The sentences that follow from the numbers: each rule by itself."""

import numpy as np
import pytest

from pipelines.catalog import rows as catalog
from pipelines.measuring.contenders import title_of
from pipelines.measuring.metrics.consistency import CONSISTENT
from pipelines.measuring.ranking import rank_for_verdict
from pipelines.measuring.rows import Row
from pipelines.measuring.verdict import decide, state_verdict
from tests.support.rows import row, several, with_scores

NOT_INSTALLED = "LPIPS is not installed here (244 MB)."
NOT_MEASURED = " Most natural: not measured."


def one(model: str, psnr_y: float | None, seconds: float = 1.0, **fields: object) -> Row:
    return row(model, psnr_y=psnr_y, seconds=seconds, **fields)


def closest(rows: list[Row]) -> str:
    """The first verdict alone."""
    return decide(rows).closest.sentence


def natural(rows: list[Row]) -> str:
    """The second verdict alone."""
    found = decide(rows).natural
    return found.sentence if found else ""


BICUBIC = one("bicubic", 33.67, 0.02)


def test_the_best_is_named_with_its_gain_and_time() -> None:
    rows = [BICUBIC, one("espcn", 33.9), one("lapsrn", 34.48, 2.1)]
    assert closest(rows) == "Closest to the original at x2: LapSRN, +0.8 dB over Bicubic, 2.1 s."
    assert state_verdict(rows) == closest(rows) + NOT_MEASURED
    assert decide(rows).closest.models == ("lapsrn",) and decide(rows).natural.models == ()


def test_without_bicubic_the_gain_is_over_the_next() -> None:
    rows = [one("espcn", 33.9), one("lapsrn", 34.48, 2.1)]
    assert closest(rows) == "Closest to the original at x2: LapSRN, +0.6 dB over ESPCN, the next, 2.1 s."


def test_bicubic_may_be_best() -> None:
    rows = [one("espcn", 33.6), BICUBIC]
    assert closest(rows) == "Closest to the original at x2: Bicubic, +0.07 dB over ESPCN, the next, 0.02 s."


def test_a_tie_names_all_and_the_fastest() -> None:
    rows = [BICUBIC, one("espcn", 34.44, 0.5), one("lapsrn", 34.48, 2.1)]
    assert closest(rows) == (
        "Closest to the original at x2: LapSRN and ESPCN tie (PSNR Y within 0.05 dB), +0.8 dB over Bicubic. "
        "ESPCN is the fastest of them, 0.50 s."
    )
    assert decide(rows).closest.models == ("lapsrn", "espcn")
    assert "tie" not in closest([BICUBIC, one("espcn", 34.42), one("lapsrn", 34.48)])


def test_a_tie_with_bicubic_is_no_gain() -> None:
    assert closest([BICUBIC, one("lapsrn", 33.70, 2.1)]) == (
        "Closest to the original at x2: LapSRN and Bicubic tie (PSNR Y within 0.05 dB), no visible gain over Bicubic. "
        "Bicubic is the fastest of them, 0.02 s."
    )


def test_a_tie_of_all_without_times() -> None:
    rows = [row(f"model-{number}", psnr_y=30.0) for number in range(7)]
    assert closest(rows) == (
        "Closest to the original at x2: model-0, model-1, model-2, model-3 and 3 others tie (PSNR Y within 0.05 dB)."
    )


def test_one_method_is_not_called_best() -> None:
    said = "Only one model was measured at x2: Bicubic, PSNR Y 33.67 dB, 0.02 s."
    assert closest([BICUBIC]) == said and decide([BICUBIC]).closest.models == ()


def test_the_only_one_that_did_not_fail_is_not_the_only_one_measured() -> None:
    found = decide([BICUBIC, row("edsr", error="There is no room.")])
    assert found.closest.sentence == "Only one model gave a result at x2: Bicubic, PSNR Y 33.67 dB, 0.02 s."
    assert found.remarks == ("Without a result: EDSR.",)


def test_the_reason_is_told_when_all_failed() -> None:
    assert state_verdict([row("edsr", error="There is no room.")]) == "No model gave a result: There is no room."
    rows = [row("edsr", error="There is no room."), row("espcn", error="ESPCN has no scale x8.")]
    said = "No model gave a result: there are 2 reasons. The first: There is no room."
    assert state_verdict(rows) == said and decide(rows).ranking is None
    assert state_verdict([]) == state_verdict([row("edsr")]) == "Nothing was scored."


def test_who_failed_is_named_beside_the_best() -> None:
    rows = [BICUBIC, one("lapsrn", 34.48, 2.1), row("edsr", error="There is no room.")]
    assert state_verdict(rows).endswith(
        "+0.8 dB over Bicubic, 2.1 s. Most natural: not measured. Without a result: EDSR."
    )


def test_a_perfect_result() -> None:
    perfect = [one(model, None, seconds, mse_y=0.0) for model, seconds in (("nearest", 0.01), ("lanczos", 0.03))]
    assert closest([BICUBIC, perfect[0]]) == (
        "Closest to the original at x2: Nearest neighbour, identical in luma, 0.01 s."
    )
    assert closest([BICUBIC, *perfect]) == (
        "Closest to the original at x2: Nearest neighbour and Lanczos tie (PSNR Y within 0.05 dB), identical in luma. "
        "Nearest neighbour is the fastest of them, 0.01 s."
    )


def test_closeness_and_looks_are_two_verdicts() -> None:
    rows = [BICUBIC, one("lapsrn", 34.48, 2.1, lpips=0.21), one("sharp", 32.1, 0.9, lpips=0.12)]
    assert closest(rows) == "Closest to the original at x2: LapSRN, +0.8 dB over Bicubic, 2.1 s."
    assert natural(rows) == "Most natural (LPIPS): sharp, 0.12 against 0.21 for LapSRN, 0.90 s."
    assert decide(rows).natural.models == ("sharp",)
    assert state_verdict(rows) == f"{closest(rows)} {natural(rows)}"


def test_one_may_be_both() -> None:
    rows = [one("bicubic", 33.67, lpips=0.3), one("lapsrn", 34.48, 2.1, lpips=0.21)]
    assert natural(rows) == "Most natural (LPIPS): LapSRN, 0.21 against 0.30 for Bicubic, 2.1 s."


def test_looks_that_nobody_tells_apart_tie() -> None:
    rows = [BICUBIC, one("lapsrn", 34.48, lpips=0.21), one("sharp", 32.1, lpips=0.195)]
    assert natural(rows) == "Most natural (LPIPS): sharp and LapSRN tie (LPIPS within 0.02)."


def test_why_nobody_was_called_natural_is_told_without_a_command() -> None:
    rows = [one(model, 33.0, notes=(f"lpips: {NOT_INSTALLED}",)) for model in ("bicubic", "espcn")]
    assert natural(rows) == f"Most natural: not measured. {NOT_INSTALLED}"
    small = [one(model, 33.0, notes=("lpips needs 31 pixels a side; here are 20",)) for model in ("bicubic", "espcn")]
    assert natural(small) == "Most natural: not measured. LPIPS needs 31 pixels a side; here are 20."
    tried = (f"lpips: {NOT_INSTALLED}", "niqe: The server could not download NIQE (12 kB).")
    told = natural([one(model, 33.0, notes=tried) for model in ("bicubic", "espcn")])
    assert told == "Most natural: not measured. The server could not download NIQE (12 kB).", "nobody asked for LPIPS"


def test_who_is_named_and_strays_from_the_small_image_is_told_on() -> None:
    sentence = "sharp invents or shifts content: shrunk again, it matches the small image only to 26.0 dB."
    lapsrn = one("lapsrn", 34.48, lpips=0.21, consistency_psnr=40.0)
    assert decide([lapsrn, one("sharp", 32.1, lpips=0.12, consistency_psnr=26.0)]).remarks == (sentence,)
    assert not decide([lapsrn, one("sharp", 32.1, lpips=0.12, consistency_psnr=33.0)]).remarks
    assert not decide([lapsrn, one("sharp", 32.1, lpips=0.25, consistency_psnr=26.0)]).remarks
    hard = one("lapsrn", 34.48, lpips=0.21, consistency_psnr=31.0)
    assert not decide([hard, one("sharp", 32.1, lpips=0.12, consistency_psnr=26.0)]).remarks


def test_the_fastest_of_those_that_tie_is_told_on_too() -> None:
    rows = [one("a", 34.48, 2.0, consistency_psnr=50.0), one("b", 34.46, 1.0, consistency_psnr=20.0)]
    assert "b is the fastest of them, 1.0 s." in closest(rows)
    assert decide(rows).remarks[0].startswith("b invents or shifts content")


def test_a_chain_is_named_readably_and_its_score_is_the_pipelines() -> None:
    rows = [one("bicubic", 24.40), one("lapsrn:4,fsrcnn:2", 24.9, 3.0)]
    assert closest(rows) == "Closest to the original at x2: LapSRN x4 then FSRCNN x2, +0.5 dB over Bicubic, 3.0 s."
    assert decide(rows).remarks == ("A chain's score is the whole pipeline's.",)
    tie = state_verdict([one("bicubic", 24.40), one("lapsrn:4,fsrcnn:2", 24.38), one("espcn:4,espcn:2", 22.0)])
    assert "Bicubic and LapSRN x4 then FSRCNN x2 tie" in tie and tie.endswith("the whole pipeline's.")
    assert "pipeline" not in state_verdict([one("bicubic", 24.40), one("espcn:4,espcn:2", 22.0)])


@pytest.mark.parametrize(
    ("model", "title"),
    [
        ("real-esrgan-general", "Real-ESRGAN general"),
        ("lapsrn:4,fsrcnn:2", "LapSRN x4 then FSRCNN x2"),
        ("sd-x4:4,sd-x2:2", "Stable Diffusion x4 then Stable Diffusion x2"),
        ("owner/name/x.pth", "owner/name/x.pth"),
        ("unknown", "unknown"),
    ],
)
def test_a_model_has_a_name_to_read(model: str, title: str) -> None:
    assert title_of(model) == title


def test_no_two_models_have_the_same_name() -> None:
    """A table, a plot and a blind test tell models apart by their names alone: those by which a form offers them."""
    names = [row.name for row in catalog.MODELS]
    assert [title_of(row.key) for row in catalog.MODELS] == names
    assert len({name.lower() for name in names}) == len(names)


# --- several images ------------------------------------------------------------------------------------------------

NAMES = ("nearest", "bilinear", "bicubic", "lanczos", "swift", "srcnn", "espcn", "fsrcnn", "lapsrn")


def steady(n: int) -> list[Row]:
    """Nine methods on n images: Swift ahead of SRCNN, the second, by about 1.3 dB, and of all others by more."""
    base, rows = np.linspace(28, 36, n), []
    for place, model in enumerate(NAMES):
        gain = {"swift": np.linspace(3.2, 3.4, n), "srcnn": np.full(n, 2.0)}.get(model, np.full(n, place / 8))
        rows += several(model, base + gain)
    return rows


def test_too_few_images_for_a_test_are_told_what_it_needs_and_no_p() -> None:
    assert decide(steady(5)).closest.evidence == (
        "Swift was best on 5 of 5 images, ahead of SRCNN by 1.3 dB on average (95 % interval 1.2 to 1.4 dB). "
        "For a statistical test of 9 models add 4 more images."
    )
    assert decide(steady(8)).closest.evidence.endswith("For a statistical test of 9 models add 1 more image.")
    assert "p " not in state_verdict(steady(5))
    close = [*several("swift", [30.05, 31.1, 32.03]), *several("srcnn", [30.0, 31.0, 32.0])]
    assert "by 0.06 dB on average (95 % interval 0.04 to 0.10 dB)" in closest(close), "as many digits in all three"


def test_enough_images_are_told_what_the_test_says() -> None:
    assert closest(steady(9)).endswith(
        "Swift was best on 9 of 9 images, ahead of SRCNN by 1.3 dB on average (95 % interval 1.3 to 1.3 dB). "
        "It is significantly better than each of the other 8 models (p ≤ 0.031)."
    )
    assert "models (p < 0.001)." in closest(steady(24))


def test_of_two_methods_the_difference_is_told() -> None:
    base = np.linspace(28, 36, 8)
    rows = [*several("bicubic", base), *several("lapsrn", base + np.linspace(0.7, 0.9, 8))]
    assert closest(rows) == (
        "Closest to the original at x2 over 8 images: LapSRN, +0.8 dB over Bicubic. LapSRN was best on 8 of 8 images, "
        "ahead of Bicubic by 0.8 dB on average (95 % interval 0.8 to 0.8 dB). "
        "The difference is significant (p = 0.008)."
    )
    wavering = several("lapsrn", base + 0.1 + np.array([3.0, -3.0] * 4) / 4)
    said = closest([*several("bicubic", base), *wavering])
    assert "LapSRN was best on 4 of 8 images" in said and "The difference is not significant (p = " in said


def test_those_that_the_test_does_not_tell_from_the_best_are_named() -> None:
    base = np.linspace(28, 36, 8)
    rows = [*several("bicubic", base), *several("lapsrn", base + np.linspace(0.7, 0.9, 8))]
    close = several("espcn", base + 0.7 + np.array([0.5, -0.5] * 4))
    assert closest([*rows, *close]).endswith(
        "It is significantly better than 1 of the other 2 models (p ≤ 0.016), but not better than ESPCN."
    )
    alike = [*several("lapsrn", base + 0.1), *several("espcn", base + np.array([0.5, -0.5] * 4)), *several("b", base)]
    alike[3] = with_scores(alike[3], psnr_y=20.0)
    assert "It is not significantly better than any other model (p = " in closest(alike)


def test_a_test_that_speaks_for_the_second_is_not_quoted_for_the_best() -> None:
    """Worse by 0.5 dB and a little on 23 images, better by 39.5 dB on the last."""
    base = np.linspace(28, 36, 24)
    rows = [*several("bicubic", base), *several("a", base + np.append(np.linspace(-0.6, -0.5, 23), 39.5))]
    assert closest(rows).endswith("It is ahead only on average: on 23 of 24 images Bicubic is better (p < 0.001).")


def test_looks_over_several_images_are_counted_too() -> None:
    rows = [with_scores(each, lpips=0.3) for each in several("bicubic", [30.0, 31.0, 32.0])]
    rows += [with_scores(each, lpips=0.1) for each in several("sharp", [29.0, 30.0, 31.0])]
    assert natural(rows) == (
        "Most natural (LPIPS): sharp, 0.10 against 0.30 for Bicubic. sharp was best on 3 of 3 images."
    )


def test_nobody_gains_by_failing_on_a_hard_image() -> None:
    """Over the images that both scored, LapSRN is better; the mean of all its own would say ESPCN is."""
    rows = [*several("espcn", [30.0, 31.0]), row("espcn", "2.png", error="No room."), *several("lapsrn", [31, 32, 20])]
    assert state_verdict(rows).startswith(
        "Closest to the original at x2 over the 2 of 3 images on which every model has a finite score: LapSRN, +1.0 dB "
        "over ESPCN, the next."
    )


def test_images_without_a_finite_score_by_all_do_not_count() -> None:
    rows = [*several("espcn", [30.0, 31.0]), row("nearest", "0.png", psnr_y=30.0)]
    assert "the 1 of 2 images" in state_verdict([*rows, row("nearest", "1.png", psnr_y=None, mse_y=0.0)])
    finite = [*several("bicubic", [28.0, 29.0]), *several("espcn", [30.0, 31.0])]
    beside = [*finite, row("bicubic", "2.png", mse_y=0.0), row("espcn", "2.png", psnr_y=40.0)]
    assert "over the 2 of 3 images on which every model has a finite score: ESPCN" in state_verdict(beside)
    perfect = [row(model, name, mse_y=0.0) for model in ("a", "b") for name in ("1", "2")]
    assert state_verdict(perfect) == "On no image does every model have a finite score, so no model is called the best."


# --- the ranking ---------------------------------------------------------------------------------------------------


def test_ranks_follow_the_verdict() -> None:
    rows = [
        BICUBIC,
        one("espcn", 34.46),
        one("lapsrn", 34.48),
        one("a", 33.9),
        one("b", 33.903),
        row("edsr", error="No."),
    ]
    found = decide(rows)
    assert found.ranking is not None
    assert dict(found.ranking.ranks) == {"lapsrn": 1, "espcn": 1, "b": 3, "a": 3, "bicubic": 5}
    assert found.as_dict() == {
        "closest": {"models": ["lapsrn", "espcn"], "text": found.closest.sentence},
        "natural": {"models": [], "text": "Most natural: not measured."},
        "remarks": ["Without a result: EDSR."],
        "ranked_by": "psnr_y",
        "ranking": [{"model": model, "rank": place} for model, place in found.ranking.ranks.items()],
    }


def test_without_an_original_none_is_called_best() -> None:
    rows = [
        row("nearest", consistency_psnr=38.0),
        row("bicubic", consistency_psnr=41.0),
        row("lanczos", consistency_psnr=41.02),
        row("edsr", error="There is no room."),
    ]
    assert state_verdict(rows) == (
        "No original: there is no objective winner at x2. Compare the results by eye. "
        "Most consistent with the small image: Lanczos and Bicubic, 41.0 dB."
    )
    assert decide(rows).closest.models == () and rank_for_verdict(rows) is None


def test_without_an_original_the_most_natural_comes_first() -> None:
    """By NIQE, which needs none, beside how consistent they are; or it is said why it was not measured."""
    rows = [
        row("bicubic", consistency_psnr=41.0, niqe=6.0, seconds=0.1),
        row("lanczos", consistency_psnr=39.0, niqe=4.5, seconds=0.2),
    ]
    ranking = rank_for_verdict(rows)
    assert ranking is not None and ranking.ranks == {"lanczos": 1, "bicubic": 2}
    assert natural(rows) == "Most natural (NIQE): Lanczos, 4.50 against 6.00 for Bicubic, 0.20 s."
    assert "Most consistent with the small image: Bicubic, 41.0 dB." in state_verdict(rows)
    lacking = [row("bicubic", consistency_psnr=41.0, notes=("niqe: NIQE is not installed here (12 kB).",))]
    assert natural(lacking) == "Most natural: not measured. NIQE is not installed here (12 kB)."


def test_where_lpips_was_not_measured_niqe_says_who_looks_natural() -> None:
    rows = [
        one("bicubic", 30.0, niqe=6.0, notes=(f"lpips: {NOT_INSTALLED}",)),
        one("sharp", 29.0, niqe=4.0, notes=(f"lpips: {NOT_INSTALLED}",)),
    ]
    assert natural(rows) == "Most natural (NIQE): sharp, 4.00 against 6.00 for Bicubic, 1.0 s."
    both = [with_scores(each, lpips=value) for each, value in zip(rows, (0.1, 0.3), strict=True)]
    assert natural(both).startswith("Most natural (LPIPS): Bicubic, 0.10 against 0.30 for sharp")


def test_dists_speaks_after_lpips_and_before_niqe() -> None:
    rows = [one("bicubic", 30.0, niqe=4.0, dists=0.21), one("sharp", 29.0, niqe=6.0, dists=0.12)]
    assert natural(rows) == "Most natural (DISTS): sharp, 0.12 against 0.21 for Bicubic, 1.0 s."
    near = [rows[0], with_scores(rows[1], dists=0.205)]
    assert natural(near) == "Most natural (DISTS): sharp and Bicubic tie (DISTS within 0.01)."
    both = [with_scores(each, lpips=value) for each, value in zip(rows, (0.1, 0.3), strict=True)]
    assert natural(both).startswith("Most natural (LPIPS): Bicubic, 0.10 against 0.30 for sharp")


def test_exact_consistency_is_the_most_there_is() -> None:
    rows = [row("bicubic", notes=(CONSISTENT,)), row("espcn", consistency_psnr=47.2)]
    assert state_verdict(rows).endswith("Most consistent with the small image: Bicubic, ∞ dB.")
