"""Made rows of a benchmark, shared by the tests of what is concluded from them."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from pipelines.measuring.run import METRICS, Row, find_metric
from pipelines.report.report import Report

PSNR_Y = find_metric("psnr_y")


def row(model: str, image: str = "one.png", **fields: Any) -> Row:
    """One contender on one picture, at x2, with no scores but those given among the fields."""
    stages = tuple(model.split(",")) if "," in model else None
    scores = {metric.key: fields.pop(metric.key) for metric in METRICS if metric.key in fields}
    own = {"image": image, "image_sha256": "0" * 64, "model": model, "scale": 2, "stages": stages, "scores": scores}
    return Row(**own | fields)


def with_scores(row: Row, **scores: float | None) -> Row:
    """The row with these scores instead of its own."""
    return replace(row, scores={**row.scores, **scores})


def several(model: str, psnr_y: Iterable[float]) -> list[Row]:
    """One contender on as many pictures as there are scores."""
    return [row(model, f"{number}.png", psnr_y=float(value)) for number, value in enumerate(psnr_y)]


def report_of(rows: Iterable[Row], **fields: Any) -> Report:
    """A finished report of these rows."""
    made = Report(
        protocol="round-trip",
        kernel="bicubic",
        scale=2,
        machine={"processor": "a fast one", "cores": 2},
        versions={"python": "3.12"},
        command="python -m pipelines benchmark one.png --scale 2",
        made="2025-03-01T12:00:00Z",
        complete=True,
        rows=tuple(rows),
    )
    return replace(made, **fields)
