"""The metrics there are, and all of them at once."""

from collections.abc import Callable, Collection

from pipelines.catalog import rows as catalog
from pipelines.catalog.rows import Weights
from pipelines.errors import BadSetting, UpscaleError
from pipelines.measuring.metrics.consistency import CONSISTENCY
from pipelines.measuring.metrics.dists import DISTS
from pipelines.measuring.metrics.lpips import LPIPS
from pipelines.measuring.metrics.metric import NOT_HERE, Judge, Judges, Metric, Sample, Scores
from pipelines.measuring.metrics.niqe import NIQE
from pipelines.measuring.metrics.pixelwise import MS_SSIM, MSE, MSE_Y, PSNR, PSNR_Y, SSIM, SSIM_Y
from pipelines.runs import Run
from pipelines.weights import fetch as weights

# In the order of the tables.
METRICS: tuple[Metric, ...] = (
    PSNR_Y,
    SSIM_Y,
    PSNR,
    SSIM,
    MS_SSIM,
    LPIPS,
    DISTS,
    NIQE,
    CONSISTENCY,
    MSE,
    MSE_Y,
)


def find_metric(key: str) -> Metric:
    """The metric of that key, which must be one of METRICS."""
    return next(metric for metric in METRICS if metric.key == key)


def score(sample: Sample) -> Run[Scores]:
    """Every metric of a sample; without an original those that need none. Closing the run ends it within one strip.

    A border of `scale` pixels is cropped, as in the super-resolution literature, for all but LPIPS, DISTS
    and consistency, which take the whole image.
    """
    values: dict[str, float | None] = {metric.key: None for metric in METRICS}
    notes: list[str] = []
    asked = METRICS
    if sample.original is None:
        asked = tuple(metric for metric in METRICS if metric.needs == "nothing")
        able = (metric for metric in asked if metric.key not in sample.judges.lacking)
        *names, last = (each.name if each.name.isupper() else each.name.lower() for each in able)
        names = [", ".join(names), last] if names else [last]
        notes.append(f"no original is known: nothing but {' and '.join(names)} can be measured")
    done: set[Callable[[Sample], Run[Scores]]] = set()
    for metric in asked:
        if metric.key in sample.judges.lacking:
            notes.append(f"{metric.key}: {sample.judges.lacking[metric.key]}")
        elif metric.of not in done:
            done.add(metric.of)
            found = yield from metric.of(sample)
            values |= found.values
            notes += found.notes
    return Scores(values, tuple(notes))


def is_no_news(note: str) -> bool:
    """Returns whether it says of a metric that only some ask for that its files are not here."""
    return NOT_HERE in note and any(each.extra and note.startswith(f"{each.key}: ") for each in METRICS)


def load_judges() -> Judges:
    """Returns what the metrics need, as far as its files are on this machine; it stays loaded."""
    loaded: dict[str, Judge] = {}
    lacking: dict[str, str] = {}
    for metric in METRICS:
        if metric.load is not None:
            try:
                loaded[metric.key] = metric.load()
            except UpscaleError as error:
                lacking[metric.key] = str(error)
    return Judges(loaded, lacking)


def fetch_judges(keys: Collection[str]) -> Run[Judges]:
    """Does as `load_judges`, once the metrics of these keys have their files; what is unavailable is in `lacking`."""
    failed = yield from fetch_files(keys)
    judges = load_judges()
    return Judges(judges.loaded, {**judges.lacking, **failed})


def fetch_files(keys: Collection[str]) -> Run[dict[str, str]]:
    """Downloads what the metrics of these keys lack; returns of each that cannot be downloaded why."""
    failed: dict[str, str] = {}
    for key in keys:
        try:
            for needed in find_missing_files(key):
                yield from weights.fetch(needed)
        except UpscaleError as error:
            failed[key] = str(error)
    return failed


def check_metrics(keys: Collection[str]) -> None:
    """Raises BadSetting for a key of no metric that needs files."""
    for key in keys:
        if key not in catalog.METRIC_FILES:
            names = ", ".join(catalog.METRIC_FILES)
            raise BadSetting(f"There is no metric {str(key)[:60]!r} that needs a download. There is {names}.")


def no_judges(reason: str) -> Judges:
    """Returns judges without anything loaded, because of that reason."""
    return Judges({}, {metric.key: reason for metric in METRICS if metric.load is not None})


def find_missing_files(key: str) -> list[Weights]:
    """Returns what a metric needs and is not on this machine."""
    return [needed for needed in catalog.METRIC_FILES.get(key, {}).values() if weights.find(needed) is None]
