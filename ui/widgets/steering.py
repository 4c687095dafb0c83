"""The fields that steer a diffusion model: its words, and all that is folded away at first."""

import json
from dataclasses import dataclass
from typing import Any

import gradio as gr
from gradio.blocks import Block

from pipelines.catalog.rows import (
    COLOUR_FIXES,
    CREATIVITY,
    GUIDANCE_RANGE,
    LONGEST_PROMPT,
    MODELS,
    NOISE_LEVEL_RANGE,
    SEED_RANGE,
    STEPS_RANGE,
    STRENGTH_RANGE,
    Model,
    Options,
    find_specification,
)
from ui.jobs.running import QUIET_EVENT
from ui.widgets.choices import Choices, Option, place_choices
from ui.widgets.inputs import CheckboxGroup, Dropdown, Number, Slider, Textbox

# What `Steering.values` are called in Settings, in the same order.
STEERING_SETTINGS = (
    *("prompt", "negative_prompt", "steps", "guidance", "noise_level", "seed", "colour_fix", "tile"),
    *("accept_licence", "strength", "start_point", "creativity"),
)
TILE_EIGHTHS = (1, 2, 3, 4, 6, 8)  # the sides to choose from, in eighths of the largest that the model takes
CREATIVITY_OPTIONS = (
    Option("low", "Low", "stays close"),
    Option("medium", "Medium", "adds detail"),
    Option("high", "High", "reinvents"),
)
# A level of creativity stands for the model's values of these fields. Where it stands for a noise level, both are one
# value. A seed that somebody drew or wrote is to be used.
STEERED = ("noise_level", "guidance", "strength")
LEVELS = {row.key: dict(find_specification(row).creativity) for row in MODELS if "creativity" in row.takes}
TO_VALUES = f"""(level, model, ...values) => {{
    const steered = (LEVELS[model] ?? {{}})[level] ?? {{}};
    return {json.dumps(STEERED)}.map((name, at) => steered[name] ?? values[at]);
}}""".replace("LEVELS", json.dumps(LEVELS, default=dict))
TO_LEVEL = """(noise, model, level) => {
    const levels = Object.entries(LEVELS[model] ?? {}).filter(([_, steered]) => "noise_level" in steered);
    const far = ([_, steered]) => Math.abs(steered.noise_level - noise);
    return levels.length ? levels.reduce((best, each) => (far(each) < far(best) ? each : best))[0] : level;
}""".replace("LEVELS", json.dumps(LEVELS, default=dict))
ROLL_SEED = f"() => [Math.floor(Math.random() * {SEED_RANGE[1] + 1}), true]"
LOCK_SEED = "() => true"
PROMPT_LABEL = "Describe the image (optional)"
PLACEHOLDER = "A portrait of a woman with short brown hair"
ABOUT_NOISE = "The exact number behind Creativity. A higher number lets the model invent more."
ABOUT_NEGATIVE = "What to avoid."
ABOUT_STEPS = "More steps are slower and rarely look better."
ABOUT_GUIDANCE = "How closely to follow your description."
ABOUT_FIX = "Keep the original's colours (wavelet), match its average (adain), or leave them to the model (none)."
ABOUT_TILE = "How much of the image the network sees at once, in pixels a side."
ABOUT_STRENGTH = "How closely to follow the cleaned image. A lower number lets the model invent more."
ABOUT_START = "Starting from the image invents less."
STARTS = [("Noise", "noise"), ("The image", "image")]
ABOUT_SEED = "The same seed and settings give the same result."


@dataclass(frozen=True, slots=True)
class Steering:
    """The fields, with the buttons and the box that belong to them."""

    prompt: Textbox
    creativity: Choices  # where everybody sees it; of a model that takes a noise level the one nearest to `noise`
    negative: Textbox
    steps: Slider
    guidance: Slider
    noise: Slider
    seed: Number
    roll: gr.Button
    lock: gr.Checkbox
    colour_fix: Dropdown
    tile: Dropdown
    accept: CheckboxGroup
    strength: Slider
    start: Dropdown
    reset: gr.Button

    @property
    def values(self) -> list[Any]:
        """The fields whose values are settings, by their names in STEERING_SETTINGS."""
        return [
            *(self.prompt, self.negative, self.steps, self.guidance, self.noise),
            *(self.seed, self.colour_fix, self.tile, self.accept, self.strength, self.start, self.creativity),
        ]

    @property
    def usable(self) -> list[Block]:
        """The fields that some models have no use for."""
        return [
            *(self.creativity, self.negative, self.steps, self.guidance, self.noise, self.colour_fix, self.tile),
            *(self.strength, self.start),
        ]

    def fit(self, row: Model) -> dict[Block, Any]:
        """Returns the changes of the fields to those that the model can use, with its own values."""
        specified, takes = find_specification(row), row.takes
        usual = specified.options
        return {
            # One for each slider: gradio takes things out of them.
            self.creativity: gr.update(value=CREATIVITY[0], visible="creativity" in takes),
            self.noise: gr.update(value=usual.noise_level, visible="noise_level" in takes),
            self.negative: gr.update(visible="negative_prompt" in takes),
            self.steps: gr.update(value=usual.steps, visible="steps" in takes),
            self.guidance: gr.update(value=usual.guidance, visible="guidance" in takes),
            self.colour_fix: gr.update(value=usual.colour_fix, visible="colour_fix" in takes),
            self.tile: gr.update(choices=tile_choices(row), value="", visible="tile" in takes),
            self.strength: gr.update(value=usual.strength, visible="strength" in takes),
            self.start: gr.update(value=usual.start_point, visible=specified.starts_from_image),
        }

    @property
    def steered(self) -> list[Block]:
        """The fields that a level of creativity sets, by their names in STEERED."""
        return [self.noise, self.guidance, self.strength]

    def set_creativity(self, row: Model, level: str) -> dict[Block, Any]:
        """Returns the values that such a level sets."""
        values = find_specification(row).creativity.get(level, {})
        fields = zip(STEERED, self.steered, strict=True)
        return {self.creativity: level, **{field: values[name] for name, field in fields if name in values}}

    def connect(self, model: Dropdown) -> None:
        """Has the fields follow each other, as it is with the `model` that is chosen."""
        given = [self.creativity, model, *self.steered]
        self.creativity.input(None, given, self.steered, js=TO_VALUES, **QUIET_EVENT, queue=False)
        given = [self.noise, model, self.creativity]
        self.noise.input(None, given, self.creativity, js=TO_LEVEL, **QUIET_EVENT, queue=False)
        self.roll.click(None, None, [self.seed, self.lock], js=ROLL_SEED, **QUIET_EVENT, queue=False)
        self.seed.input(None, None, self.lock, js=LOCK_SEED, **QUIET_EVENT, queue=False)


def place_prompt(name: str, **more: Any) -> Textbox:
    """Puts the field for the words into the page being built; `name` is its id there."""
    return Textbox(label=PROMPT_LABEL, placeholder=PLACEHOLDER, max_length=LONGEST_PROMPT, elem_id=name, **more)


def place_creativity(**more: Any) -> Choices:
    """Puts the levels of creativity into the page being built."""
    return place_choices("Creativity", CREATIVITY_OPTIONS, CREATIVITY[0], "pills", **more)


def place_advanced(prompt: Textbox, creativity: Choices, accept: CheckboxGroup, usual: Options, row: Model) -> Steering:
    """Puts all other fields into the page being built, with the values of a model's options."""
    negative = Textbox(label="Negative prompt", info=ABOUT_NEGATIVE, max_length=LONGEST_PROMPT)
    steps = Slider(*STEPS_RANGE, value=usual.steps, step=1, label="Steps", info=ABOUT_STEPS)
    guidance = Slider(*GUIDANCE_RANGE, value=usual.guidance, step=0.5, label="Guidance", info=ABOUT_GUIDANCE)
    noise = Slider(*NOISE_LEVEL_RANGE, value=usual.noise_level, step=1, label="Noise level", info=ABOUT_NOISE)
    with gr.Row(equal_height=True, elem_classes="seed"):
        seed = Number(usual.seed, label="Seed", info=ABOUT_SEED, precision=0, minimum=SEED_RANGE[0], min_width=120)
        with gr.Column(min_width=120):
            roll = gr.Button("⚄ Another seed", size="sm")
            lock = gr.Checkbox(False, label="Keep this seed")
    fixes = list(COLOUR_FIXES)
    fix = Dropdown(fixes, value=usual.colour_fix, label="Colours", info=ABOUT_FIX, filterable=False)
    tile = Dropdown(tile_choices(row), value="", label="Tile", info=ABOUT_TILE, filterable=False)
    strength = Slider(
        *STRENGTH_RANGE,
        value=usual.strength,
        step=0.01,
        label="Strength",
        info=ABOUT_STRENGTH,
        visible="strength" in row.takes,
    )
    shown = find_specification(row).starts_from_image
    start = Dropdown(
        STARTS, value=usual.start_point, label="Start from", info=ABOUT_START, filterable=False, visible=shown
    )
    reset = gr.Button("Reset to defaults", size="sm")
    fields = prompt, creativity, negative, steps, guidance, noise, seed, roll, lock, fix, tile
    return Steering(*fields, accept, strength, start, reset)


def as_whole_number(value: Any) -> Any:
    """A whole number as one, however JSON wrote it; anything else as it is."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def tile_choices(row: Model) -> list[tuple[str, str | int]]:
    """The tiles to choose from for a model, the first of which leaves it to the model."""
    least, most = row.tiles or (1, 0)
    sides = [most * eighths // 8 for eighths in TILE_EIGHTHS]
    return [("The model's own", ""), *((str(side), side) for side in sides if side >= least)]
