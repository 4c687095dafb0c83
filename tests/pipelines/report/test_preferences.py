"""A blind test in a report: written, read back, drawn, and refused where it is damaged."""

import json
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest

from pipelines.errors import BadSetting
from pipelines.measuring.preference import Vote
from pipelines.report.report import (
    Report,
    add_preference,
    describe_agreement,
    from_json,
    make_preference_table,
    to_html,
    to_json,
    to_markdown,
)
from tests.support.rows import report_of, row

SCORES = {"swift": (33.0, 0.3), "bicubic": (30.0, 0.4), "real-esrgan-general": (29.0, 0.1)}
LIKED = ("real-esrgan-general", "swift", "bicubic")  # in the order of LPIPS


def judged() -> Report:
    """A report with six votes that all agree, and one for neither."""
    report = report_of([row(model, psnr_y=psnr, lpips=lpips) for model, (psnr, lpips) in SCORES.items()])
    votes = [Vote(one, other, "first") for one, other in pairwise(LIKED) for _ in range(3)]
    return add_preference(report, [*votes, Vote(LIKED[2], LIKED[0], "second"), Vote(LIKED[1], LIKED[0], "same")])


def test_the_ranking_and_how_it_agrees_follow_from_the_votes() -> None:
    found = judged().preference
    assert found is not None
    assert [(each["model"], each["rank"]) for each in found["ranking"]] == [(key, 1 + n) for n, key in enumerate(LIKED)]
    assert found["kendall"] == {"psnr_y": pytest.approx(-1 / 3), "lpips": 1.0}
    assert len(found["votes"]) == 8 and found["votes"][-1] == {
        "first": "swift", "second": "real-esrgan-general", "outcome": "same"
    }  # fmt: skip
    assert describe_agreement(judged()) == (
        "The order contradicts PSNR Y (Kendall's τ −0.33). The order matches LPIPS (1.00)."
    )
    kendall: dict[str, float | None] = {"psnr_y": 0.1, "consistency_psnr": -0.2, "niqe": None}
    told = replace(judged(), preference={"kendall": kendall})
    said = "Your order hardly matches PSNR Y (Kendall's τ 0.10) or Consistency (−0.20)."
    assert describe_agreement(told, "Your order") == said
    told = replace(told, preference={"kendall": {"psnr_y": 0.7, "ssim_y": 0.6, "lpips": 1.0}})
    assert describe_agreement(told) == "The order matches PSNR Y (Kendall's τ 0.70), SSIM Y (0.60) and LPIPS (1.00)."


def test_it_survives_being_written_and_what_follows_is_worked_out_anew() -> None:
    report = judged()
    found = json.loads(to_json(report))
    assert found["preference"] == report.preference
    found["preference"]["ranking"] = []
    assert from_json(json.dumps(found).encode(), "old.json") == report


@pytest.mark.parametrize(
    "preference",
    [{}, {"votes": 3}, {"votes": [3]}, {"votes": [{"first": "a", "second": "b"}]},
     {"votes": [{"first": "a", "second": "b", "outcome": "better"}]},
     {"votes": [{"first": 1, "second": "b", "outcome": "same"}]}],
)  # fmt: skip
def test_a_damaged_one_is_refused_in_a_sentence(preference: Any) -> None:
    found = json.loads(to_json(judged())) | {"preference": preference}
    with pytest.raises(BadSetting, match=r"^old\.json is damaged: .*\.$"):
        from_json(json.dumps(found).encode(), "old.json")


def test_the_report_shows_it_and_without_one_there_is_none() -> None:
    table = make_preference_table(judged())
    assert table is not None
    assert [(line.rank, line.name) for line in table.lines] == [
        (1, "Real-ESRGAN general"), (2, "Swift"), (3, "Bicubic")
    ]  # fmt: skip
    best = table.lines[0].cells
    assert best[0].text.endswith(" %") and best[0].value is not None and best[0].value > 0.7
    assert [cell.text for cell in best[1:]] == ["5", "4", "1"]
    for text in (to_html(judged()).decode(), to_markdown(judged()).decode()):
        assert "Blind test" in text and "contradicts PSNR Y" in text.replace("&#39;", "'")
    plain = report_of(judged().rows)
    assert make_preference_table(plain) is None and describe_agreement(plain) == ""
    assert b"Blind test" not in to_html(plain) and b"Blind test" not in to_markdown(plain)
