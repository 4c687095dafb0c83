"""What a benchmark finds: one `Row` for each picture and contender, and the metrics it has."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Metric:
    """A column of numbers: what it is called, what it says in one line, its unit, and which direction is better."""

    key: str  # the name in JSON and CSV, and of the field of Row
    name: str
    about: str
    unit: str
    higher_is_better: bool
    digits: int  # decimals to show


METRICS = (
    Metric("psnr_y", "PSNR Y", "Closeness of the luma to the original's, pixel by pixel.", "dB", True, 2),
    Metric("ssim_y", "SSIM Y", "Likeness of the luma's local structure, at most 1.", "", True, 4),
    Metric("psnr", "PSNR", "Closeness of red, green and blue, pixel by pixel.", "dB", True, 2),
    Metric("ssim", "SSIM", "Likeness of local structure in red, green and blue, at most 1.", "", True, 4),
    Metric("ms_ssim", "MS-SSIM", "SSIM of the luma over five sizes, at most 1.", "", True, 4),
    Metric("lpips", "LPIPS", "Distance as a network sees it: near to how different people find it.", "", False, 4),
    Metric(
        "consistency_psnr",
        "Consistency",
        "The result shrunk again, compared with the small picture: low where content is made up or shifted.",
        "dB",
        True,
        2,
    ),
    Metric("mse", "MSE", "Mean squared error of red, green and blue, in levels of 255.", "", False, 2),
    Metric("mse_y", "MSE Y", "Mean squared error of the luma.", "", False, 2),
)


def metric_of(key: str) -> Metric:
    """The metric of that key, which must be one of METRICS."""
    return next(metric for metric in METRICS if metric.key == key)


# The note of a row whose consistency is infinite: JSON has no such number, and no error stands beside it.
CONSISTENT = "consistency_psnr is infinite: shrunk, the output equals the small picture"


@dataclass(frozen=True, slots=True)
class Row:
    """How one contender did on one picture. What could not be had is None, and `notes` or `error` says why.

    A perfect result has `mse` 0 and `psnr` None: infinity is no number in JSON.
    """

    image: str  # file name
    image_sha256: str
    model: str  # a key, or "first:4,second:2" for a chain
    scale: int
    stages: tuple[str, ...] | None = None  # ("first:4", "second:2") for a chain
    mse: float | None = None
    mse_y: float | None = None
    psnr: float | None = None
    psnr_y: float | None = None
    ssim: float | None = None
    ssim_y: float | None = None
    ms_ssim: float | None = None
    lpips: float | None = None
    consistency_psnr: float | None = None
    seconds: float | None = None  # of one run, loading apart
    stage_seconds: tuple[float, ...] | None = None  # of each stage of a chain, in the same run
    runs: int = 0  # how many runs `seconds` is the median of
    peak_mb: float | None = None  # of 10^6 bytes, above what was held before
    params: int | None = None  # learned parameters, where counted
    weights_bytes: int | None = None
    weights_sha256: str | None = None  # of several files, joined by commas
    error: str | None = None  # why there are no scores
    notes: tuple[str, ...] = ()

    @property
    def picture(self) -> tuple[str, str]:
        """Which picture it is of: its file name and sha256."""
        return self.image, self.image_sha256

    def as_dict(self) -> dict[str, Any]:
        """As JSON has it."""
        lists = {"stages": self.stages, "stage_seconds": self.stage_seconds, "notes": self.notes}
        return {**asdict(self), **{name: None if value is None else list(value) for name, value in lists.items()}}


def row_from(data: Mapping[str, Any]) -> Row:
    """The row that `as_dict` wrote. Raises TypeError where a field lacks or is none of Row's."""
    lists = {name: tuple(data[name]) for name in ("stages", "stage_seconds", "notes") if data.get(name) is not None}
    return Row(**{**data, **lists})
