"""What a run would give and take, said before it starts, as HTML that stands above a tab's button."""

from collections.abc import Sequence
from html import escape

from pipelines.catalog.rows import Model, Settings, Weights, resolve_options
from pipelines.estimates import Estimate
from pipelines.images.door import list_formats_too_small
from pipelines.phrasing import format_bytes, format_download, format_duration


def upscale_plan(
    model: Model,
    size: tuple[int, int],
    scale: int,
    expected: Estimate,
    missing: Sequence[Weights],
    settings: Settings | None = None,
) -> str:
    """Returns what a run would give and take, and what it would download, before it starts.

    A model that was named by its file is named here too: the list of models still shows another one.
    """
    width, height = size
    parts = [
        *([f"by {escape(model.key)}"] if model.from_hub else []),
        f"{width} × {height} → <strong>{width * scale} × {height * scale}</strong>",
        _time(model, expected),
        f"{format_bytes(round(expected.megabytes * 1e6))} memory" if expected.megabytes >= 1 else "under 1 MB memory",
    ]
    if too_small := list_formats_too_small(width * scale, height * scale):
        parts.append(f"too large for {' and '.join(too_small)}")
    if settings is not None and lacks_prompt(model, settings):
        parts.append("guidance off: the prompt is empty, twice as fast")
    if missing:
        parts.append(f"downloads {format_download(sum(each.size for each in missing))} first")
    return f'<p class="plan">{" · ".join(parts)}</p>'


def lacks_prompt(model: Model, settings: Settings) -> bool:
    """Returns whether there would be guidance, had it words to guide by."""
    if not model.prompt:
        return False
    options = resolve_options(model, settings)
    return options.guidance > 1 and not options.guided


def _time(model: Model, expected: Estimate) -> str:
    """Returns how long it will take. A diffusion model on a processor is for the patient, who are to know why."""
    if expected.seconds is None:
        return "no time known yet"
    slow = model.diffusion and expected.on_cpu
    return f"about {format_duration(expected.seconds)}{' without a GPU' * slow}"


def comparison_plan(pictures: int, methods: int, times: Sequence[float | None], missing: int) -> str:
    """Returns what a comparison would take: seconds of each method on each picture, bytes to download."""
    return _plan([f"{count(pictures, 'image')}, {count(methods, 'model')}"], times, missing)


def chain_plan(
    sizes: Sequence[tuple[int, int]], beside: Sequence[str], times: Sequence[float | None], missing: int
) -> str:
    """Returns what a chain would give, size by size, the direct models measured beside it, and what it would take."""
    *before, last = [f"{width} × {height}" for width, height in sizes]
    parts = [" → ".join([*before, f"<strong>{last}</strong>"])]
    if beside:
        parts.append(f"beside {' and '.join(beside)} x8")
    return _plan(parts, times, missing)


def _plan(parts: Sequence[str], times: Sequence[float | None], missing: int) -> str:
    known = sum(time for time in times if time is not None)
    never = " and what was never measured" if None in times else ""
    lacking = [f"downloads {format_bytes(missing)} first"] if missing else []
    return f'<p class="plan">{" · ".join([*parts, f"about {format_duration(known)}{never}", *lacking])}</p>'


def count(number: int, what: str) -> str:
    """Returns "1 image", "2 images"."""
    return f"{number} {what}{'' if number == 1 else 's'}"
