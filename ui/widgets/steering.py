"""The fields that steer a diffusion model: its words, and all that is folded away at first."""

from dataclasses import dataclass
from typing import Any

import gradio as gr
from gradio.blocks import Block

from pipelines.catalog.rows import (
    COLOUR_FIXES,
    GUIDANCE_RANGE,
    LONGEST_PROMPT,
    NOISE_LEVEL_RANGE,
    SEED_RANGE,
    STEPS_RANGE,
    Model,
    Options,
)
from ui.widgets.inputs import Dropdown, Number, Slider, Textbox

# What `Steering.values` are called in Settings, in the same order.
STEERING_SETTINGS = ("prompt", "negative_prompt", "steps", "guidance", "noise_level", "seed", "colour_fix", "tile")
TILE_EIGHTHS = (1, 2, 3, 4, 6, 8)  # the sides to choose from, in eighths of the largest that the model takes
PLACEHOLDER = "What is in the picture; may be empty"
ABOUT_CREATIVE = "How much noise is added to the picture, and how much is invented in its place."
ABOUT_NEGATIVE = "What shall not be in it."
ABOUT_STEPS = "More take longer and rarely show; the original's are 75."
ABOUT_GUIDANCE = "How closely the words are followed."
ABOUT_FIX = "Where the colours come from: the picture's own large areas, its mean and contrast, or the model."
ABOUT_TILE = "How much of the picture the network sees at once, in pixels a side."
ABOUT_SEED = "The same seed and settings give the same result."


@dataclass(frozen=True, slots=True)
class Steering:
    """The fields, with the buttons and the box that belong to them."""

    prompt: Textbox
    creative: Slider  # the same value as `noise`, where everybody sees it
    negative: Textbox
    steps: Slider
    guidance: Slider
    noise: Slider
    seed: Number
    roll: gr.Button
    lock: gr.Checkbox
    colour_fix: Dropdown
    tile: Dropdown
    reset: gr.Button

    @property
    def values(self) -> list[Any]:
        """The fields whose values are settings, by their names in STEERING_SETTINGS."""
        return [
            *(self.prompt, self.negative, self.steps, self.guidance, self.noise),
            *(self.seed, self.colour_fix, self.tile),
        ]

    @property
    def usable(self) -> list[Block]:
        """The fields that some models have no use for."""
        return [self.creative, self.negative, self.steps, self.guidance, self.noise, self.colour_fix, self.tile]


def place_prompt() -> Textbox:
    """Puts the field for the words into the page being built."""
    return Textbox(label="Prompt", placeholder=PLACEHOLDER, max_length=LONGEST_PROMPT, elem_id="prompt")


def place_creative(usual: Options) -> Slider:
    """Puts the slider that everybody sees into the page being built."""
    return Slider(
        *NOISE_LEVEL_RANGE, value=usual.noise_level, step=1, label="Faithful to creative", info=ABOUT_CREATIVE
    )


def place_advanced(prompt: Textbox, creative: Slider, usual: Options, row: Model) -> Steering:
    """Puts all other fields into the page being built, with the values of a model's options."""
    negative = Textbox(label="Negative prompt", info=ABOUT_NEGATIVE, max_length=LONGEST_PROMPT)
    steps = Slider(*STEPS_RANGE, value=usual.steps, step=1, label="Steps", info=ABOUT_STEPS)
    guidance = Slider(*GUIDANCE_RANGE, value=usual.guidance, step=0.5, label="Guidance", info=ABOUT_GUIDANCE)
    noise = Slider(*NOISE_LEVEL_RANGE, value=usual.noise_level, step=1, label="Noise level")
    with gr.Row(equal_height=True, elem_classes="seed"):
        seed = Number(usual.seed, label="Seed", info=ABOUT_SEED, precision=0, minimum=SEED_RANGE[0], min_width=120)
        with gr.Column(min_width=120):
            roll = gr.Button("⚄ Another seed", size="sm")
            lock = gr.Checkbox(False, label="Lock: keep it for the next run")
    fixes = list(COLOUR_FIXES)
    fix = Dropdown(fixes, value=usual.colour_fix, label="Colour fix", info=ABOUT_FIX, filterable=False)
    tile = Dropdown(tile_choices(row), value="", label="Tile", info=ABOUT_TILE, filterable=False)
    reset = gr.Button("Reset to defaults", size="sm")
    return Steering(prompt, creative, negative, steps, guidance, noise, seed, roll, lock, fix, tile, reset)


def tile_choices(row: Model) -> list[tuple[str, str | int]]:
    """The tiles to choose from for a model, the first of which leaves it to the model."""
    least, most = row.tiles or (1, 0)
    sides = [most * eighths // 8 for eighths in TILE_EIGHTHS]
    return [("The model's own", ""), *((str(side), side) for side in sides if side >= least)]
