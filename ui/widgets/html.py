"""What the page says, as HTML: models, progress, facts. Everything that comes from outside is escaped here."""

from base64 import b64encode
from collections.abc import Sequence
from html import escape
from io import BytesIO

from PIL import Image, ImageOps

from pipelines.catalog.rows import Model
from pipelines.enlarge import Details
from pipelines.phrasing import describe_settings, format_duration
from ui.examples import Example

THUMBNAIL_SIDE = 96
FAMILY_NAMES = {"classical": "Classical", "cnn": "Network", "gan": "GAN", "diffusion": "Diffusion"}


def model_label(model: Model) -> str:
    """The model's line in the list of models, which is in order of families."""
    return f"{FAMILY_NAMES.get(model.family, model.family.capitalize())} · {model.name}"


def example_buttons(examples: Sequence[Example]) -> str:
    """The example pictures as buttons, each a thumbnail inside the page: nothing is fetched for them."""
    buttons, side = [], THUMBNAIL_SIDE
    for example in examples:
        with Image.open(example.path) as picture:
            small = ImageOps.fit(picture.convert("RGB"), (side, side))
        stream = BytesIO()
        small.save(stream, "JPEG", quality=85)
        source = f"data:image/jpeg;base64,{b64encode(stream.getvalue()).decode()}"
        buttons.append(
            f'<button type="button" data-example="{example.name}" aria-label="Example: {example.title}" '
            f'title="{example.title}"><img src="{source}" alt="" width="{side}" height="{side}"></button>'
        )
    return f'<div class="examples" role="group" aria-label="Examples">{"".join(buttons)}</div>'


def describe_model(model: Model) -> str:
    """Returns what the model is good at, and what its licence allows."""
    if model.from_hub:
        licence = f'<span class="badge restricted">licence: {escape(model.licence)}</span>'
        return f'<p class="about">{escape(model.note)} {licence}</p>'
    use = "free for commercial use" if model.commercial else "not for commercial use"
    licence = "" if model.engine == "classical" else f"{escape(model.licence)} · "
    colour = "free" if model.commercial else "restricted"
    return f'<p class="about">{escape(model.note)} <span class="badge {colour}">{licence}{use}</span></p>'


def aside(text: str) -> str:
    """Returns something to know about what is shown."""
    return f'<p class="about">{escape(text)}</p>'


def problem(message: str) -> str:
    """Returns what is wrong with what was chosen, in place of the plan."""
    return f'<p class="plan trouble" role="alert">{escape(message)}</p>'


def progress(text: str, share: float) -> str:
    """Returns how far a run is; `share` from 0 to 1."""
    percent = round(100 * share)
    return (
        f'<div class="progress" role="progressbar" aria-label="Progress" aria-valuenow="{percent}">'
        f'<div class="bar" style="width:{percent}%"></div><span>{escape(text)}</span></div>'
    )


def status(text: str) -> str:
    """One quiet line in the place of the progress: nothing is running."""
    return f'<div class="progress idle" role="status"><span>{escape(text)}</span></div>'


def facts(details: Details, shown: str) -> str:
    """Returns how the result came about, as a list; `shown` is what there is to see of it, where that
    needs words.
    """
    width, height = details.size
    rows = [
        *([("Shown", shown)] if shown else []),
        ("Size", f"{width} × {height}"),
        ("Time", format_duration(details.seconds)),
        ("Run on", f"{details.device}, {details.dtype}, {details.tiles} tile{'s' if details.tiles > 1 else ''}"),
    ]
    if details.settings:
        rows.append(("Settings", describe_settings(details.settings)))
    if details.seam is not None:
        rows.append(("Seams", f"tiles differ by at most {details.seam:.2g} where they meet; 1 is black against white"))
    if details.weights_sha256:
        rows.append(("Weights", _list_hashes(details.weights_sha256.split(","))))
    rows += [("Note", note) for note in details.notes]
    items = "".join(f"<div><dt>{name}</dt><dd>{escape(text)}</dd></div>" for name, text in rows)
    return f'<dl class="facts">{items}</dl>'


def _list_hashes(sha256: Sequence[str]) -> str:
    """The hashes of the files; of many their beginnings, by which one tells them apart."""
    if len(sha256) <= 2:
        return f"sha256 {', '.join(sha256)}"
    return f"{len(sha256)} files, sha256 {', '.join(f'{each[:8]}…' for each in sha256)}"
