"""Made rows of a benchmark, shared by the tests of what is concluded from them."""

from collections.abc import Iterable
from typing import Any

from pipelines.results import METRICS, Row

PSNR_Y = next(metric for metric in METRICS if metric.key == "psnr_y")


def row(model: str, image: str = "one.png", **fields: Any) -> Row:
    """One contender on one picture, at x2, with no scores but those given."""
    stages = tuple(model.split(",")) if "," in model else None
    return Row(**{"image": image, "image_sha256": "0" * 64, "model": model, "scale": 2, "stages": stages} | fields)


def several(model: str, psnr_y: Iterable[float]) -> list[Row]:
    """One contender on as many pictures as there are scores."""
    return [row(model, f"{number}.png", psnr_y=float(value)) for number, value in enumerate(psnr_y)]
