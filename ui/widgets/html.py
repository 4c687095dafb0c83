"""What the page says, as HTML: estimate, progress, facts. Everything that comes from outside is escaped here."""

from base64 import b64encode
from collections.abc import Sequence
from html import escape
from io import BytesIO

from PIL import Image, ImageOps

from pipelines.catalog.schema import Model, Weights
from pipelines.catalog.settings import Settings
from pipelines.enlarge import Details
from pipelines.estimates import Estimate
from pipelines.measuring.run import Plan
from pipelines.phrasing import chosen, download, duration, megabytes
from pipelines.upscalers.diffusion.options import chosen as with_defaults
from ui.examples import Example

THUMBNAIL = 96
FAMILIES = {"classical": "Classical", "cnn": "Network", "gan": "GAN", "diffusion": "Diffusion"}


def choice(model: Model) -> str:
    """The model's line in the list of models, which is in order of families."""
    return f"{FAMILIES[model.family]} · {model.name}"


def examples(offered: Sequence[Example]) -> str:
    """The example pictures as buttons, each a thumbnail inside the page: nothing is fetched for them."""
    buttons = []
    for example in offered:
        with Image.open(example.path) as picture:
            small = ImageOps.fit(picture.convert("RGB"), (THUMBNAIL, THUMBNAIL))
        stream = BytesIO()
        small.save(stream, "JPEG", quality=85)
        source = f"data:image/jpeg;base64,{b64encode(stream.getvalue()).decode()}"
        buttons.append(
            f'<button type="button" data-example="{example.name}" aria-label="Example: {example.title}" '
            f'title="{example.title}"><img src="{source}" alt="" width="{THUMBNAIL}" height="{THUMBNAIL}"></button>'
        )
    return f'<div class="examples" role="group" aria-label="Examples">{"".join(buttons)}</div>'


def about(model: Model) -> str:
    """What the model is good at, and what its licence allows."""
    if model.from_hub:
        licence = f'<span class="badge restricted">licence: {escape(model.licence)}</span>'
        return f'<p class="about">{escape(model.note)} {licence}</p>'
    use = "free for commercial use" if model.commercial else "not for commercial use"
    licence = "" if model.engine == "classical" else f"{escape(model.licence)} · "
    colour = "free" if model.commercial else "restricted"
    return f'<p class="about">{escape(model.note)} <span class="badge {colour}">{licence}{use}</span></p>'


def plan(
    model: Model,
    size: tuple[int, int],
    scale: int,
    expected: Estimate,
    missing: Sequence[Weights],
    settings: Settings | None = None,
) -> str:
    """What a run would give and take, and what it would download, before it starts.

    A model that was named by its file is named here too: the list of models still shows another one.
    """
    width, height = size
    parts = [
        *([f"by {escape(model.key)}"] if model.from_hub else []),
        f"{width} × {height} → <strong>{width * scale} × {height * scale}</strong>",
        _time(model, expected),
        f"{megabytes(round(expected.megabytes * 1e6))} memory" if expected.megabytes >= 1 else "under 1 MB memory",
    ]
    if settings is not None and _lacks_words(model, settings):
        parts.append("guidance off: the prompt is empty, twice as fast")
    if missing:
        parts.append(f"downloads {download(sum(each.size for each in missing))} first")
    return f'<p class="plan">{" · ".join(parts)}</p>'


def _lacks_words(model: Model, settings: Settings) -> bool:
    """Whether there would be guidance, had it words to guide by."""
    if not model.prompt:
        return False
    options = with_defaults(model, settings)
    return options.guidance > 1 and not options.guided


def _time(model: Model, expected: Estimate) -> str:
    """How long it will take. A diffusion model on a processor is for the patient, who are to know why."""
    if expected.seconds is None:
        return "no time known yet"
    slow = model.family == "diffusion" and expected.on_cpu
    return f"about {duration(expected.seconds)}{' without a GPU' * slow}"


def comparison(pictures: int, methods: int, times: Sequence[float | None], missing: int) -> str:
    """What a comparison would take: seconds of each method on each picture, bytes to download."""
    return _plan([f"{_counted(pictures, 'picture')}, {_counted(methods, 'method')}"], times, missing)


def chain(sizes: Sequence[tuple[int, int]], beside: Sequence[str], times: Sequence[float | None], missing: int) -> str:
    """What a chain would give, size by size, which direct models are measured beside it, and what it would take."""
    *before, last = [f"{width} × {height}" for width, height in sizes]
    parts = [" → ".join([*before, f"<strong>{last}</strong>"])]
    if beside:
        parts.append(f"beside {' and '.join(beside)} x8")
    return _plan(parts, times, missing)


def _plan(parts: Sequence[str], times: Sequence[float | None], missing: int) -> str:
    known = sum(time for time in times if time is not None)
    never = " and what was never measured" if None in times else ""
    lacking = [f"downloads {megabytes(missing)} first"] if missing else []
    return f'<p class="plan">{" · ".join([*parts, f"about {duration(known)}{never}", *lacking])}</p>'


def script(address: str, pictures: Sequence[str], plan: Plan) -> str:
    """Python that asks the page at that address for the same comparison of each picture."""
    models = [each.key for each in plan.contenders if len(each.stages) == 1]
    chains = [each.key for each in plan.contenders if len(each.stages) > 1]
    return "\n".join(
        [
            "from gradio_client import Client, handle_file",
            "",
            f"client = Client({address!r})",
            f"for name in {list(pictures)!r}:",
            "    report = client.predict(",
            "        image=handle_file(name),",
            f"        protocol={plan.protocol!r}, scale='x{plan.scale}', kernel={plan.kernel!r},",
            f"        models={models!r},",
            f"        stages={chains!r},",
            "        api_name='/benchmark',",
            "    )",
            "    print(name, report['verdict'])",
        ]
    )


def _counted(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"


def aside(sentence: str) -> str:
    """Something to know about what is shown."""
    return f'<p class="about">{escape(sentence)}</p>'


def trouble(sentence: str) -> str:
    """What is wrong with what was chosen, in place of the plan."""
    return f'<p class="plan trouble" role="alert">{escape(sentence)}</p>'


def progress(words: str, share: float) -> str:
    """How far a run is; `share` from 0 to 1."""
    percent = round(100 * share)
    return (
        f'<div class="progress" role="progressbar" aria-label="Progress" aria-valuenow="{percent}">'
        f'<div class="bar" style="width:{percent}%"></div><span>{escape(words)}</span></div>'
    )


def state(words: str) -> str:
    """One quiet line in the place of the progress: nothing is running."""
    return f'<div class="progress idle" role="status"><span>{escape(words)}</span></div>'


def facts(details: Details, shown: str) -> str:
    """How the result came about, as a list; `shown` is what there is to see of it."""
    width, height = details.size
    rows = [
        ("Shown", shown),
        ("Size", f"{width} × {height}"),
        ("Time", duration(details.seconds)),
        ("Run on", f"{details.device}, {details.dtype}, {details.tiles} tile{'s' if details.tiles > 1 else ''}"),
    ]
    if details.settings:
        rows.append(("Settings", chosen(details.settings)))
    if details.seam is not None:
        rows.append(("Seams", f"tiles differ by at most {details.seam:.2g} where they meet; 1 is black against white"))
    if details.weights_sha256:
        rows.append(("Weights", _hashes(details.weights_sha256.split(","))))
    rows += [("Note", note) for note in details.notes]
    items = "".join(f"<div><dt>{name}</dt><dd>{escape(text)}</dd></div>" for name, text in rows)
    return f'<dl class="facts">{items}</dl>'


def _hashes(sha256: Sequence[str]) -> str:
    """The hashes of the files; of many their beginnings, by which one tells them apart."""
    if len(sha256) <= 2:
        return f"sha256 {', '.join(sha256)}"
    return f"{len(sha256)} files, sha256 {', '.join(f'{each[:8]}…' for each in sha256)}"
