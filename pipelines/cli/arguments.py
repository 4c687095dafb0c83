"""What the command line's arguments stand for; each function raises argparse.ArgumentTypeError with one sentence."""

import argparse

from pipelines.catalog import rows as catalog
from pipelines.catalog.rows import Stage
from pipelines.errors import BadSetting


def key(text: str) -> str:
    """The key of a model."""
    try:
        return catalog.find(text).key
    except BadSetting as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def key_with_files(text: str) -> str:
    """The key of a model, or of a metric that needs files."""
    return text if text in catalog.METRIC_FILES else key(text)


def keys(text: str) -> list[str]:
    """Keys of models with commas between, or "all"."""
    return [name if name == "all" else key(name) for name in text.split(",") if name]


def stages(text: str) -> tuple[Stage, ...]:
    """A chain: KEY:SCALE,KEY:SCALE."""
    try:
        return catalog.parse_stages(text)
    except BadSetting as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def count(text: str) -> int:
    """A whole number from 0 to 1000."""
    if not text.isdecimal() or int(text) > 1000:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 0 to 1000.")
    return int(text)
