"""What a run would give and take, said before it starts, as HTML that stands above a tab's button."""

from collections.abc import Sequence
from html import escape

from pipelines.catalog.rows import Model, Settings, Weights, resolve_options
from pipelines.environment import MEGA
from pipelines.estimates import Estimate, estimate
from pipelines.images.door import list_formats_too_small
from pipelines.phrasing import format_bytes, format_download
from ui.jobs.batches import Outlook, describe_batch_cost, format_megapixels
from ui.jobs.showing import estimate_showing
from ui.widgets.html import tell_time

MUCH_MEMORY = 1_000_000_000  # bytes that are worth a word


def upscale_plan(
    model: Model,
    size: tuple[int, int],
    result: tuple[int, int],
    expected: Estimate,
    missing: Sequence[Weights],
    settings: Settings | None = None,
    remarks: Sequence[str] = (),
    cost: str = "",
) -> str:
    """Returns what a run would give and take, and what it would download, before it starts.

    `size` and `result` are width and height of the image and of what is made of it. `remarks` are further sentences,
    `cost` is what it takes of a quota.
    """
    width, height = size
    parts = [
        f"{escape(model.key if model.from_hub else model.name)}: {width} × {height} → "
        f"<strong>{result[0]} × {result[1]}</strong>",
        _time(model, expected, result),
        *filter(None, [cost]),
    ]
    if expected.megabytes * MEGA >= MUCH_MEMORY:
        parts.append(f"{format_bytes(round(expected.megabytes * MEGA))} of memory")
    if too_small := list_formats_too_small(*result):
        parts.append(f"too large for {' and '.join(too_small)}")
    if settings is not None and lacks_prompt(model, settings):
        parts.append("without a prompt, twice as fast")
    if missing:
        parts.append(f"downloads {format_download(sum(each.size for each in missing))} first")
    told = f"<br>{escape(' '.join(remarks))}" if remarks else ""
    return f'<p class="plan">{" · ".join(parts)}{told}</p>'


def batch_plan(model: Model, outlook: Outlook) -> str:
    """Returns what a batch would give and take, before it starts."""
    name = escape(model.key if model.from_hub else model.name)
    made = f"{name}: {count(outlook.images, 'image')} → <strong>{format_megapixels(outlook.made)}</strong>"
    parts = [made, "time not known yet" if outlook.seconds is None else _about(outlook.seconds)]
    parts += filter(None, [describe_batch_cost(outlook)])
    if outlook.missing:
        parts.append(f"downloads {format_download(sum(each.size for each in outlook.missing))} first")
    return f'<p class="plan">{" · ".join(parts)}</p>'


def describe_cost(model: Model, scale: int, size: tuple[int, int] | None, missing: Sequence[Weights]) -> str:
    """Returns what the model takes in a few words, of an image of that size, if there is one: "2.1 s · included"."""
    needed = model.scales[scale]
    if missing:
        files = f"{format_download(sum(each.size for each in missing))} download"
    else:
        files = "included" if needed is None or needed.bundled else "ready"
    seconds = estimate(model.key, scale, *size).seconds if size else None
    if size is None or seconds is None:
        return files
    return f"{tell_time(seconds + estimate_showing((size[0] * scale, size[1] * scale)))} · {files}"


def lacks_prompt(model: Model, settings: Settings) -> bool:
    """Returns whether there would be guidance, had it words to guide by."""
    if not model.prompt:
        return False
    options = resolve_options(model, settings)
    return options.guidance > 1 and not options.guided


def _time(model: Model, expected: Estimate, result: tuple[int, int]) -> str:
    """Returns how long it will take. A diffusion model on a processor is for the patient, who are to know why."""
    if expected.seconds is None:
        return "time not known yet"
    seconds = expected.seconds + estimate_showing(result)
    return f"{_about(seconds)}{' without a GPU' * (model.diffusion and expected.on_cpu)}"


def _about(seconds: float) -> str:
    text = tell_time(seconds)
    return text if text.startswith("under") else f"about {text}"


def comparison_plan(pictures: int, methods: int, times: Sequence[float | None], missing: int, cost: str = "") -> str:
    """Returns what a comparison would take: seconds of each method on each picture, bytes to download, of a quota."""
    return _plan([f"{count(pictures, 'image')}, {count(methods, 'model')}"], times, missing, cost)


def chain_plan(
    sizes: Sequence[tuple[int, int]],
    beside: Sequence[str],
    times: Sequence[float | None],
    missing: int,
    cost: str = "",
) -> str:
    """Returns what a chain would give, size by size, the direct models measured beside it, and what it would take."""
    *before, last = [f"{width} × {height}" for width, height in sizes]
    parts = [" → ".join([*before, f"<strong>{last}</strong>"])]
    if beside:
        parts.append(f"compared with {' and '.join(beside)} x8")
        return _plan(parts, times, missing, cost)  # what is scored has that in its times
    return _plan(parts, [*times, *map(estimate_showing, sizes[1:])], missing, cost)


def _plan(parts: Sequence[str], times: Sequence[float | None], missing: int, cost: str) -> str:
    known = sum(time for time in times if time is not None)
    never = ", plus models not timed yet" if None in times else ""
    lacking = [f"downloads {format_bytes(missing)} first"] if missing else []
    return f'<p class="plan">{" · ".join([*parts, f"{_about(known)}{never}", *filter(None, [cost]), *lacking])}</p>'


def count(number: int, what: str) -> str:
    """Returns "1 image", "2 images"."""
    return f"{number} {what}{'' if number == 1 else 's'}"
