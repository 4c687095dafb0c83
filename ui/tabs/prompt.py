"""The Prompt tab: a picture and a few words, enlarged by Stable Diffusion. Also `/prompt`."""

import secrets
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import gradio as gr

from pipelines import estimates
from pipelines.catalog import rows as catalog
from pipelines.catalog.schema import Model
from pipelines.catalog.settings import GUIDANCE, LONGEST_PROMPT, NOISE_LEVEL, SEED, STEPS, Settings, check
from pipelines.errors import BadPicture, BadSetting, UpscaleError, WeightsUnavailable
from pipelines.images import door as images
from pipelines.images.door import Source
from pipelines.phrasing import duration
from pipelines.upscalers.diffusion.options import USUAL
from pipelines.upscalers.loading import lacking
from ui.examples import EXAMPLES
from ui.jobs import enlarging, gpu
from ui.jobs.running import ONE_AT_A_TIME, QUIET, buttons, cancelled, for_page, mendable
from ui.jobs.running import steps as forwarded
from ui.widgets import before_after
from ui.widgets import html as words
from ui.widgets.inputs import Dropdown, Number, PictureInput, Slider, Textbox
from ui.widgets.picture import picture_field

STEERING = ("prompt", "negative_prompt", "steps", "guidance", "noise_level", "seed", "colour_fix", "tile")
PLACEHOLDER = "What is in the picture; may be empty"
ABOUT_CREATIVE = "How much noise is added to the picture, and how much is invented in its place."
ABOUT_NEGATIVE = "What shall not be in it."
ABOUT_STEPS = "More take longer and rarely show; the original's are 75."
ABOUT_GUIDANCE = "How closely the words are followed."
ABOUT_FIX = "Where the colours come from: the picture's own large areas, its mean and contrast, or the model."
ABOUT_TILE = "How much of the picture the network sees at once, in pixels a side."
ABOUT_SEED = "The same seed and settings give the same result."
TILES = {4: (64, 128, 192, 256, 384, 512), 2: (256, 512, 768, 1024, 1536, 2048)}  # by scale, in the range of each model
ABOUT_RESULT = (
    "The result comes here, beside what a plain method makes of the picture; until then, what there is of it."
)
# Both sliders are one value; a seed that somebody rolled or wrote is meant to be used.
SAME = "(value) => value"
ROLL = f"() => [Math.floor(Math.random() * {SEED[1] + 1}), true]"
LOCK = "() => true"


def build(page: gr.Blocks) -> tuple[gr.Button, PictureInput]:
    """Put the tab's widgets and events into the page being built.

    Returns the button that offers another model where the files of this one cannot be had, and the picture's field.
    """
    first = rows()[0]
    usual = USUAL[first.arch]
    with gr.Row(equal_height=False):
        with gr.Column(scale=2, min_width=320):
            picture = picture_field("prompt-picture")
            with gr.Group():
                model = Dropdown(
                    [(row.name, row.key) for row in rows()],
                    value=first.key,
                    label="Model",
                    filterable=False,
                    visible=len(rows()) > 1,
                )
                prompt = Textbox(label="Prompt", placeholder=PLACEHOLDER, max_length=LONGEST_PROMPT, elem_id="prompt")
                creative = Slider(
                    *NOISE_LEVEL, value=usual.noise_level, step=1, label="Faithful to creative", info=ABOUT_CREATIVE
                )
            plan = gr.HTML(elem_id="prompt-plan")
            with gr.Row(elem_id="prompt-actions", elem_classes="actions"):
                run = gr.Button("Enlarge", variant="primary")
                cancel = gr.Button("Cancel", interactive=False)
            about = gr.HTML(words.about(first))
            with gr.Accordion("Advanced", open=False):
                advanced = _advanced(first)
        with gr.Column(scale=3, min_width=320):
            progress = gr.HTML(words.state("Ready."), elem_id="prompt-progress")
            instead = gr.Button("Use Real-ESRGAN instead", size="sm", visible=False)
            slider = before_after.slider("prompt-compare")
            download = gr.DownloadButton("Download PNG", visible=False)
            facts = gr.HTML(words.aside(ABOUT_RESULT), elem_id="prompt-facts")
            told = gr.Textbox(
                label="To make it again",
                elem_id="prompt-settings",
                buttons=["copy"],
                interactive=False,
                lines=3,
                max_lines=5,
                visible=False,
            )

    negative, steps, guidance, noise, seed, roll, lock, fix, tile, reset = advanced
    steering: list[Any] = [prompt, negative, steps, guidance, noise, seed, fix, tile]
    plan.value = _plan(EXAMPLES[0].path, first.key, *(each.value for each in steering))
    chosen: list[Any] = [picture, model, *steering]
    run_and_cancel = [run, cancel]
    shown = [slider, download, facts, told]

    creative.input(None, creative, noise, js=SAME, **QUIET, queue=False)
    noise.input(None, noise, creative, js=SAME, **QUIET, queue=False)
    roll.click(None, None, [seed, lock], js=ROLL, **QUIET, queue=False)
    seed.input(None, None, lock, js=LOCK, **QUIET, queue=False)
    usable = [creative, negative, steps, guidance, noise, fix, tile]
    reset.click(_defaults, model, [*usable, lock], **QUIET, queue=False)
    model.input(_choose, model, [about, *usable], **QUIET, queue=False)
    gr.on([*(each.change for each in chosen), page.load], _plan, chosen, plan, **QUIET, queue=False)

    waiting = run.click(
        lambda: (words.state("Waiting for a free place."), *buttons(running=True)),
        None,
        [progress, *run_and_cancel],
        **QUIET,
        queue=False,
    )
    running = waiting.then(
        _on_page, [*chosen, lock], [progress, *run_and_cancel, instead, seed, *shown], **QUIET, **ONE_AT_A_TIME
    )
    running.then(_plan, chosen, plan, **QUIET, queue=False)  # what was downloaded is here now
    cancel.click(None, cancels=[running], api_visibility="private", queue=False).then(
        cancelled, None, [progress, *run_and_cancel], **QUIET, queue=False
    )

    _api()
    return instead, picture


class Advanced(NamedTuple):
    """The fields that are folded away at first."""

    negative: Textbox
    steps: Slider
    guidance: Slider
    noise: Slider
    seed: Number
    roll: gr.Button
    lock: gr.Checkbox
    fix: Dropdown
    tile: Dropdown
    reset: gr.Button


def _advanced(first: Model) -> Advanced:
    usual = USUAL[first.arch]
    negative = Textbox(label="Negative prompt", info=ABOUT_NEGATIVE, max_length=LONGEST_PROMPT)
    steps = Slider(*STEPS, value=usual.steps, step=1, label="Steps", info=ABOUT_STEPS)
    guidance = Slider(*GUIDANCE, value=usual.guidance, step=0.5, label="Guidance", info=ABOUT_GUIDANCE)
    noise = Slider(*NOISE_LEVEL, value=usual.noise_level, step=1, label="Noise level")
    with gr.Row(equal_height=True, elem_classes="seed"):
        seed = Number(usual.seed, label="Seed", info=ABOUT_SEED, precision=0, minimum=SEED[0], min_width=120)
        with gr.Column(min_width=120):
            roll = gr.Button("⚄ Another seed", size="sm")
            lock = gr.Checkbox(False, label="Lock: keep it for the next run")
    fixes = list(catalog.COLOUR_FIXES)
    fix = Dropdown(fixes, value=usual.colour_fix, label="Colour fix", info=ABOUT_FIX, filterable=False)
    tile = Dropdown(_tiles(first), value="", label="Tile", info=ABOUT_TILE, filterable=False)
    reset = gr.Button("Reset to defaults", size="sm")
    return Advanced(negative, steps, guidance, noise, seed, roll, lock, fix, tile, reset)


def _api() -> None:
    """The API's event, with inputs of its own: the page's hold the first example."""
    gr.Button(visible=False).click(
        enlarge,
        [
            PictureInput(label="Picture", visible=False),
            Textbox(label="Prompt", visible=False),
            Textbox(label="Negative prompt", visible=False),
            Number(label="Steps", visible=False),
            Number(label="Guidance", visible=False),
            Number(label="Noise level", visible=False),
            Number(label="Seed", visible=False),
        ],
        [gr.File(label="file", visible=False), gr.JSON(label="details", visible=False)],
        api_name="prompt",
        **ONE_AT_A_TIME,
    )


def enlarge(
    image: Source | None,
    prompt: str | None = None,
    negative_prompt: str | None = None,
    steps: int | None = None,
    guidance: float | None = None,
    noise_level: int | None = None,
    seed: int | None = None,
) -> Iterator[tuple[str | None, dict[str, Any] | None]]:
    """Enlarge a picture to four times its size by Stable Diffusion. Returns the lossless result and its details.

    All but the picture may be left out: the prompt is empty then, the seed 0, and of the others the model has its own.
    """
    row = rows()[0]
    stages = [(row.key, _scale(row))]
    with mendable(), tempfile.TemporaryDirectory() as folder:
        settings = Settings(
            prompt=prompt,
            negative_prompt=negative_prompt,
            steps=_whole(steps),
            guidance=guidance,
            noise_level=_whole(noise_level),
            seed=_whole(seed),
        )
        picture = enlarging.opened(image, stages, settings)
        done = yield from forwarded(enlarging.enlarged(picture, stages, settings), lambda said, share: (None, None))
        yield str(enlarging.saved(done, image, Path(folder))), done.details.as_dict()


def rows() -> list[Model]:
    """The models that take words, first those that enlarge by four."""
    return sorted((row for row in catalog.MODELS if row.prompt), key=lambda row: 4 not in row.scales)


# --- what the page's events do ------------------------------------------------------------------------------------


def _on_page(source: Source | None, model: str, *steering_and_lock: Any) -> Iterator[tuple[Any, ...]]:
    """Enlarge, showing progress and previews, then the result beside what a plain method gives, and its settings."""
    *steering, locked = steering_and_lock
    seed = STEERING.index("seed")
    if not locked or steering[seed] is None:
        steering[seed] = secrets.randbelow(SEED[1] + 1)
    offer, kept = gr.Button(visible=False), (gr.skip(),) * len(_nothing())
    yield words.progress("Starting", 0), *buttons(running=True), offer, steering[seed], *_nothing()
    try:
        with mendable(), tempfile.TemporaryDirectory() as folder:
            try:
                yield from _enlarge(source, *_meant(model, *steering), Path(folder))
            except WeightsUnavailable:
                offer = gr.Button(visible=True)
                raise
    except gr.Error as error:
        yield words.state(str(error.message)), *buttons(running=False), offer, gr.skip(), *kept
        raise for_page(error) from None


def _enlarge(source: Source | None, row: Model, settings: Settings, folder: Path) -> Iterator[tuple[Any, ...]]:
    started = time.monotonic()
    run, preview = before_after.previewed(
        before_after.shown(source, row, settings, _scale(row), folder), source, folder
    )

    def show(said: str, share: float) -> tuple[Any, ...]:
        rest = (gr.skip(),) * (len(_nothing()) - 1)
        said = said.partition(f"{row.name}: ")[2] or said  # there is but one, and on a telephone little room
        return words.progress(said, share), *buttons(running=True), gr.skip(), gr.skip(), preview(), *rest

    made = yield from forwarded(run, show)
    took = words.state(f"Done in {duration(time.monotonic() - started)}.")
    download = gr.DownloadButton(value=made.file, visible=True)
    told = gr.Textbox(made.about, visible=True)
    slider = gr.update(value=made.pair, visible=True)
    yield took, *buttons(running=False), gr.skip(), gr.skip(), slider, download, made.facts, told


def _plan(source: Source | None, model: str, *steering: Any) -> str:
    """What a run would give and take, or what is wrong with what was chosen."""
    try:
        if source is None:
            raise BadPicture("Choose a picture first.")
        row, settings = _meant(model, *steering)
        check([row], settings)
        stages = [(row.key, _scale(row))]
        size = images.measure(source, _scale(row))
        gpu.check_lent(stages, settings, size)
        missing = lacking(stages, settings)
    except UpscaleError as error:
        return words.trouble(str(error))
    expected = estimates.estimate(*stages[0], *size, settings)
    return words.plan(row, size, _scale(row), expected, missing, settings)


def _choose(model: str) -> tuple[Any, ...]:
    """What the model is good at; and the fields, those that it can use, with what it does unless told otherwise.

    The words and the seed are left alone.
    """
    with mendable():
        row = _row(model)
    usual, takes = USUAL[row.arch], row.takes
    # One for each slider: gradio takes things out of them.
    creative, noise = (gr.update(value=usual.noise_level, visible="noise_level" in takes) for _ in range(2))
    return (
        words.about(row),
        creative,
        gr.update(visible="negative_prompt" in takes),
        gr.update(value=usual.steps, visible="steps" in takes),
        gr.update(value=usual.guidance, visible="guidance" in takes),
        noise,
        gr.update(value=usual.colour_fix, visible="colour_fix" in takes),
        gr.update(choices=_tiles(row), value="", visible="tile" in takes),
    )


def _defaults(model: str) -> tuple[Any, ...]:
    """The same fields without words of what shall not be, and a seed that is drawn anew."""
    _, creative, negative, *others = _choose(model)
    return creative, negative | {"value": ""}, *others, False


# --- what they have in common -------------------------------------------------------------------------------------


def _nothing() -> tuple[Any, ...]:
    """The widgets for what was made without anything to show."""
    return gr.update(visible=False), gr.DownloadButton(visible=False), "", gr.Textbox(visible=False)


def _meant(model: str, *steering: Any) -> tuple[Model, Settings]:
    """The model that is to run, with those of the settings that it takes; an empty field is none."""
    row = _row(model)
    given = (None if value == "" else _whole(value) for value in steering)
    return row, Settings(**dict(zip(STEERING, given, strict=True))).only(row.takes)


def _whole(value: Any) -> Any:
    """A whole number as one, however JSON wrote it; anything else as it is."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _row(model: str) -> Model:
    """The row with that key. Raises BadSetting where the tab has no such model."""
    row = next((each for each in rows() if each.key == model), None)
    if row is None:
        raise BadSetting(
            f"{str(model)[:40]} does not take words; the models that do are {', '.join(each.key for each in rows())}."
        )
    return row


def _tiles(row: Model) -> list[tuple[str, str | int]]:
    return [("The model's own", ""), *((str(side), side) for side in TILES[_scale(row)])]


def _scale(row: Model) -> int:
    return 4 if 4 in row.scales else min(row.scales)
