"""Which models the page offers to upscale by: those whose files are included, can be downloaded, or are here."""

from pipelines.catalog import rows as catalog
from pipelines.catalog.rows import Model, Weights
from pipelines.errors import UpscaleError
from pipelines.weights.fetch import is_here


def list_offered(scale: int | None = None) -> list[Model]:
    """The rows that upscale, of one scale if it is given. The API takes the others too, and says what they lack."""
    rows = [row for row in catalog.MODELS if not row.cleans and (scale is None or scale in row.scales)]
    return [row for row in rows if any(_can_be_had(needed) for needed in row.scales.values())]


def _can_be_had(needed: Weights | None) -> bool:
    if needed is None or needed.bundled or needed.sources:
        return True
    try:
        return is_here(needed)
    except UpscaleError:  # choosing it says what is wrong
        return True
