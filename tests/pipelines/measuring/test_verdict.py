"""The sentence that follows from the numbers: each rule by itself."""

import numpy as np

from pipelines.measuring.metrics.consistency import CONSISTENT
from pipelines.measuring.rows import Row
from pipelines.measuring.verdict import state_verdict
from tests.support.rows import row, several


def one(model: str, psnr_y: float | None, seconds: float = 1.0, **fields: object) -> Row:
    return row(model, psnr_y=psnr_y, seconds=seconds, **fields)


BICUBIC = one("bicubic", 33.67, 0.02)


def test_the_best_is_named_with_its_gain_and_time() -> None:
    rows = [BICUBIC, one("espcn", 33.9), one("lapsrn", 34.48, 2.1)]
    assert state_verdict(rows) == "Best for this picture at x2: lapsrn, +0.8 dB over bicubic, 2.1 s."


def test_without_bicubic_the_gain_is_over_the_next() -> None:
    rows = [one("espcn", 33.9), one("lapsrn", 34.48, 2.1)]
    assert state_verdict(rows) == "Best for this picture at x2: lapsrn, +0.6 dB over espcn, the next, 2.1 s."


def test_bicubic_may_be_best() -> None:
    rows = [one("espcn", 33.6), BICUBIC]
    assert state_verdict(rows) == "Best for this picture at x2: bicubic itself, +0.07 dB over espcn, the next, 0.02 s."


def test_a_tie_names_all_and_the_fastest() -> None:
    rows = [BICUBIC, one("espcn", 34.44, 0.5), one("lapsrn", 34.48, 2.1)]
    assert state_verdict(rows) == (
        "Best for this picture at x2: a tie of lapsrn and espcn (PSNR Y within 0.05 dB), +0.8 dB over bicubic; "
        "the fastest of them is espcn, 0.50 s."
    )
    assert "tie" not in state_verdict([BICUBIC, one("espcn", 34.42), one("lapsrn", 34.48)])


def test_a_tie_with_bicubic_is_no_gain() -> None:
    assert state_verdict([BICUBIC, one("lapsrn", 33.70, 2.1)]) == (
        "Best for this picture at x2: a tie of lapsrn and bicubic (PSNR Y within 0.05 dB), none visibly better than "
        "bicubic; the fastest of them is bicubic, 0.02 s."
    )


def test_a_tie_of_all_without_times() -> None:
    rows = [row(f"model-{number}", psnr_y=30.0) for number in range(7)]
    assert state_verdict(rows) == (
        "Best for this picture at x2: a tie of model-0, model-1, model-2, model-3 and 3 others (PSNR Y within 0.05 dB)."
    )


def test_one_method_is_not_called_best() -> None:
    assert (
        state_verdict([BICUBIC])
        == "Only one method was measured for this picture at x2: bicubic, PSNR Y 33.67 dB, 0.02 s."
    )


def test_the_only_one_that_did_not_fail_is_not_the_only_one_measured() -> None:
    assert state_verdict([BICUBIC, row("edsr", error="There is no room.")]) == (
        "Only one method gave a result for this picture at x2: bicubic, PSNR Y 33.67 dB, 0.02 s. "
        "Without a result: edsr."
    )


def test_the_reason_is_told_when_all_failed() -> None:
    assert state_verdict([row("edsr", error="There is no room.")]) == "No method gave a result: There is no room."
    rows = [row("edsr", error="There is no room."), row("espcn", error="ESPCN has no scale x8.")]
    assert state_verdict(rows) == "No method gave a result, for 2 reasons. The first: There is no room."
    assert state_verdict([]) == state_verdict([row("edsr")]) == "Nothing was scored."


def test_who_failed_is_named_beside_the_best() -> None:
    rows = [BICUBIC, one("lapsrn", 34.48, 2.1), row("edsr", error="There is no room.")]
    assert state_verdict(rows).endswith("+0.8 dB over bicubic, 2.1 s. Without a result: edsr.")


def test_a_perfect_result() -> None:
    perfect = [one(model, None, seconds, mse_y=0.0) for model, seconds in (("nearest", 0.01), ("lanczos", 0.03))]
    assert state_verdict([BICUBIC, perfect[0]]) == (
        "Best for this picture at x2: nearest, without any error in luma, 0.01 s."
    )
    assert state_verdict([BICUBIC, *perfect]) == (
        "Best for this picture at x2: a tie of nearest and lanczos (PSNR Y within 0.05 dB), without any error in luma; "
        "the fastest of them is nearest, 0.01 s."
    )


def test_closeness_and_looks_are_both_told_where_they_part() -> None:
    rows = [BICUBIC, one("lapsrn", 34.48, 2.1, lpips=0.21), one("srgan", 32.1, 0.9, lpips=0.12)]
    assert state_verdict(rows) == (
        "Closest pixel by pixel for this picture at x2: lapsrn, +0.8 dB over bicubic, 2.1 s; "
        "looks closest: srgan, LPIPS 0.12 against 0.21, 0.90 s."
    )


def test_closeness_and_looks_do_not_part_over_little() -> None:
    """Nor where one of those that tie by PSNR looks as good."""
    lapsrn = one("lapsrn", 34.48, lpips=0.21)
    assert state_verdict([BICUBIC, lapsrn, one("srgan", 32.1, lpips=0.195)]).startswith("Best")
    assert state_verdict([BICUBIC, lapsrn, one("espcn", 34.46, lpips=0.12)]).startswith("Best")


def test_who_is_named_and_strays_from_the_small_picture_is_told_on() -> None:
    sentence = "srgan makes up or shifts content: shrunk again it agrees with the small picture to 26.0 dB only."
    lapsrn = one("lapsrn", 34.48, lpips=0.21, consistency_psnr=40.0)
    assert state_verdict([lapsrn, one("srgan", 32.1, lpips=0.12, consistency_psnr=26.0)]).endswith(sentence)
    assert "makes up" not in state_verdict([lapsrn, one("srgan", 32.1, lpips=0.12, consistency_psnr=33.0)])
    assert "makes up" not in state_verdict([lapsrn, one("srgan", 32.1, lpips=0.21, consistency_psnr=26.0)])
    hard = one("lapsrn", 34.48, lpips=0.21, consistency_psnr=31.0)
    assert "makes up" not in state_verdict([hard, one("srgan", 32.1, lpips=0.12, consistency_psnr=26.0)])


def test_the_fastest_of_those_that_tie_is_told_on_too() -> None:
    rows = [one("a", 34.48, 2.0, consistency_psnr=50.0), one("b", 34.46, 1.0, consistency_psnr=20.0)]
    assert state_verdict(rows).endswith(
        "the fastest of them is b, 1.0 s. "
        "b makes up or shifts content: shrunk again it agrees with the small picture to 20.0 dB only."
    )


def test_a_chain_is_named_readably_and_its_score_is_the_pipelines() -> None:
    rows = [one("bicubic", 24.40), one("lapsrn:4,fsrcnn:2", 24.9, 3.0)]
    assert state_verdict(rows) == (
        "Best for this picture at x2: lapsrn x4 then fsrcnn x2, +0.5 dB over bicubic, 3.0 s. "
        "A chain's score is the whole pipeline's."
    )


def test_a_chain_that_ties_is_told_of_too() -> None:
    sentence = state_verdict([one("bicubic", 24.40), one("lapsrn:4,fsrcnn:2", 24.38), one("espcn:4,espcn:2", 22.0)])
    assert "a tie of bicubic and lapsrn x4 then fsrcnn x2" in sentence and sentence.endswith("the whole pipeline's.")
    assert "pipeline" not in state_verdict([one("bicubic", 24.40), one("espcn:4,espcn:2", 22.0)])


def test_several_pictures_are_told_apart_or_not() -> None:
    base = np.linspace(28, 36, 8)
    rows = [*several("bicubic", base), *several("lapsrn", base + np.linspace(0.7, 0.9, 8))]
    assert state_verdict(rows) == (
        "Best over 8 pictures at x2: lapsrn, +0.8 dB over bicubic. "
        "lapsrn and bicubic, the second, can be told apart over 8 pictures (p = 0.008)."
    )
    rows += several("espcn", base + 0.7 + np.array([3.0, -3.0] * 4) / 4)
    assert "lapsrn and espcn, the second, are not distinguishable over 8 pictures (p = " in state_verdict(rows)


def test_a_test_that_speaks_for_the_second_is_not_quoted_for_the_best() -> None:
    """Worse by 0.5 dB and a little on 23 pictures, better by 39.5 dB on the last."""
    base = np.linspace(28, 36, 24)
    rows = [*several("bicubic", base), *several("a", base + np.append(np.linspace(-0.6, -0.5, 23), 39.5))]
    assert state_verdict(rows) == (
        "Best over 24 pictures at x2: a, +1.1 dB over bicubic. "
        "a is better than bicubic, the second, by the mean alone: it is worse on 23 of 24 pictures (p < 0.001)."
    )


def test_few_pictures_are_never_told_apart() -> None:
    rows = [*several("bicubic", np.arange(5) + 30.0), *several("lapsrn", np.arange(5) + 31.0)]
    assert "are not distinguishable over 5 pictures (p = 0.062)" in state_verdict(rows)


def test_nobody_gains_by_failing_on_a_hard_picture() -> None:
    """Over the pictures that both scored, lapsrn is better; the mean of all its own would say espcn is."""
    rows = [*several("espcn", [30.0, 31.0]), row("espcn", "2.png", error="No room."), *several("lapsrn", [31, 32, 20])]
    assert state_verdict(rows).startswith(
        "Best over the 2 of 3 pictures at x2 with a finite score by every method: lapsrn, +1.0 dB over espcn, the next."
    )


def test_pictures_without_a_finite_score_by_all_do_not_count() -> None:
    rows = [*several("espcn", [30.0, 31.0]), row("nearest", "0.png", psnr_y=30.0)]
    assert "the 1 of 2 pictures" in state_verdict([*rows, row("nearest", "1.png", psnr_y=None, mse_y=0.0)])
    finite = [*several("bicubic", [28.0, 29.0]), *several("espcn", [30.0, 31.0])]
    beside = [*finite, row("bicubic", "2.png", mse_y=0.0), row("espcn", "2.png", psnr_y=40.0)]
    assert "over the 2 of 3 pictures at x2 with a finite score by every method: espcn" in state_verdict(beside)
    perfect = [row(model, name, mse_y=0.0) for model in ("a", "b") for name in ("1", "2")]
    assert state_verdict(perfect) == "No picture has a finite score by every method, so none is called the best."


def test_without_an_original_none_is_called_best() -> None:
    rows = [
        row("nearest", consistency_psnr=38.0),
        row("bicubic", consistency_psnr=41.0),
        row("lanczos", consistency_psnr=41.02),
        row("edsr", error="There is no room."),
    ]
    assert state_verdict(rows) == (
        "There is no score against an original, so nothing says which is best at x2: look at them. "
        "Most consistent with the small picture, 41.0 dB: lanczos and bicubic."
    )


def test_exact_consistency_is_the_most_there_is() -> None:
    rows = [row("bicubic", notes=(CONSISTENT,)), row("espcn", consistency_psnr=47.2)]
    assert state_verdict(rows).endswith("Most consistent with the small picture, ∞ dB: bicubic.")
