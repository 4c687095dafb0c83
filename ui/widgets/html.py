"""What the page says, as HTML: models, progress, facts. Everything that comes from outside is escaped here."""

from base64 import b64encode
from collections.abc import Sequence
from html import escape
from io import BytesIO

from PIL import Image, ImageOps

from pipelines.catalog.rows import Model, find, parse_stages
from pipelines.enlarge import Details
from pipelines.phrasing import describe_settings, format_duration, simplify_note
from ui.examples import Example

THUMBNAIL_SIDE = 96
NO_IMAGE = "Choose an image first."
# OpenCV's networks learned from images shrunk without antialiasing; others are shrunk properly.
ABOUT_TRAINING = (
    "Trained on images shrunk without antialiasing. On properly shrunk images it scores about the same as bicubic."
)


def name_model(model: Model, cost: str = "") -> str:
    """The model's line in a list of models: its name, what it is good at, and what it costs, if that is given.

    What it is good at is the first sentence of its note.
    """
    use = model.note.partition(". ")[0].rstrip(".")
    first = use.partition(" ")[0]
    if first[1:] == first[1:].lower():  # no name, such as ResShift
        use = use[:1].lower() + use[1:]
    return " · ".join([f"{model.name} — {use}", *([cost] if cost else [])])


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
        use = ", free for commercial use" if model.commercial else ""
        colour = "free" if model.commercial else "restricted"
        licence = f'<span class="badge {colour}">licence: {escape(model.licence)}{use}</span>'
        return f'<p class="about">{escape(model.note)} {licence}</p>'
    use = "free for commercial use" if model.commercial else "not for commercial use"
    licence = "" if model.engine == "classical" else f"{escape(model.licence)} · "
    colour = "free" if model.commercial else "restricted"
    training = f" {ABOUT_TRAINING}" if model.aliased else ""
    about = f"<strong>{escape(model.name)}</strong>: {escape(model.note)}{training}"
    return f'<p class="about">{about} <span class="badge {colour}">{licence}{use}</span></p>'


def aside(text: str) -> str:
    """Returns something to know about what is shown."""
    return f'<p class="about">{escape(text)}</p>'


def advice(text: str) -> str:
    """Returns why something was chosen for the visitor, read out when it changes; empty where nothing is to be said."""
    return f'<p class="advice" role="status">{escape(text)}</p>'


def link_note(text: str) -> str:
    """Returns what is to be said of the link that opened the page; empty where it gave no cause."""
    return f'<p class="link-note" role="status">{escape(text)}</p>' if text else ""


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


READY = status("Ready.")


def facts(details: Details, shown: str = "", seconds: float | None = None) -> str:
    """Returns how the result came about, as a list; what only a few want to know is folded away.

    `shown` is what there is to see of it; `seconds` the time that the visitor waited, where it was taken.
    """
    width, height = details.size
    rows = [
        *([("Shown", shown)] if shown else []),
        ("Size", f"{width} × {height}"),
        ("Time", tell_time(details.seconds if seconds is None else seconds)),
        ("Model", _name_models(details)),
        *(("Note", told) for note in details.notes if (told := simplify_note(note))),
    ]
    folded = [
        *([] if seconds is None else [("Computing", tell_time(details.seconds))]),
        ("Run on", f"{details.device}, {details.dtype}, {details.tiles} tile{'s' if details.tiles > 1 else ''}"),
    ]
    folded += [("Found", note) for note in details.notes if note != simplify_note(note)]
    if details.settings:
        folded.append(("Settings", describe_settings(details.settings)))
    if details.seam is not None:
        differ = f"tiles differ by at most {details.seam:.2g} where they meet; 1 is black against white"
        folded.append(("Seams", differ if details.seam else "none: the tiles equal the whole image"))
    if details.weights_sha256:
        folded.append(("Weights", _list_hashes(details.weights_sha256.split(","))))
    return list_facts(rows, folded)


def list_facts(rows: Sequence[tuple[str, str]], folded: Sequence[tuple[str, str]]) -> str:
    """Returns a list of names and texts, and below it those that only a few want to know, folded away."""
    technical = f"<details><summary>Technical details</summary>{_list(folded)}</details>" if folded else ""
    return _list(rows) + technical


def tell_time(seconds: float) -> str:
    """Returns a time to wait, as short as it can be said: "under 0.1 s", "2.2 s", "4 min"."""
    if seconds < 0.1:
        return "under 0.1 s"
    return f"{seconds:.1f} s" if seconds < 1 else format_duration(seconds)


def _list(rows: Sequence[tuple[str, str]]) -> str:
    items = "".join(f"<div><dt>{name}</dt><dd>{escape(text)}</dd></div>" for name, text in rows)
    return f'<dl class="facts">{items}</dl>'


def _name_models(details: Details) -> str:
    """The models' names as the lists have them, with their scales: "LapSRN x4, then FSRCNN x2"."""
    if "," not in details.model:
        return f"{find(details.model).name} x{details.scale}"
    return ", then ".join(f"{stage.model.name} x{stage.scale}" for stage in parse_stages(details.model))


def _list_hashes(sha256: Sequence[str]) -> str:
    """The hashes of the files; of many their beginnings, by which one tells them apart."""
    if len(sha256) <= 2:
        return f"sha256 {', '.join(sha256)}"
    return f"{len(sha256)} files, sha256 {', '.join(f'{each[:8]}…' for each in sha256)}"
