"""The inputs of the API's events, out of sight: their types are what the API's description tells callers."""

import gradio as gr

from pipelines.catalog import rows as catalog
from pipelines.measuring.run import CHAINED_8X, OFFERED_KERNELS, PROTOCOLS
from ui.widgets.advice import FIRST_MODEL, FIRST_SCALE
from ui.widgets.comparison_form import FIRST_KERNEL, FIRST_PROTOCOL
from ui.widgets.inputs import (
    Checkbox,
    CheckboxGroup,
    Dropdown,
    FilesInput,
    Number,
    PictureInput,
    PicturesInput,
    Radio,
    Textbox,
)

Inputs = list[gr.components.Component]


def place_upscale() -> Inputs:
    """Puts those of `/upscale` into the page being built."""
    return [PictureInput(label="Picture", visible=False), *_upscaling()]


def place_upscale_many() -> Inputs:
    """Puts those of `/upscale_many` into the page being built."""
    return [FilesInput(label="Images", file_count="multiple", visible=False), *_upscaling()]


def place_chain() -> Inputs:
    """Puts those of `/chain` into the page being built."""
    first, second = (
        [model.key for model in catalog.MODELS if scale in model.scales] for scale in CHAINED_8X.chain_scales
    )
    return [
        PictureInput(label="Picture", visible=False),
        Dropdown(first, value=FIRST_MODEL, label="First", visible=False),
        Dropdown(second, value=FIRST_MODEL, label="Second", visible=False),
        Checkbox(label="Accept licence", visible=False),
    ]


def place_prompt() -> Inputs:
    """Puts those of `/prompt` into the page being built."""
    return [
        PictureInput(label="Picture", visible=False),
        Textbox(label="Prompt", visible=False),
        Textbox(label="Negative prompt", visible=False),
        Number(label="Steps", visible=False),
        Number(label="Guidance", visible=False),
        Number(label="Noise level", visible=False),
        Number(label="Seed", visible=False),
        Textbox(label="Colour fix", visible=False),
        Number(label="Tile", visible=False),
        Textbox(label="Model", visible=False),
        Checkbox(label="Accept licence", visible=False),
        Number(label="Strength", visible=False),
        Textbox(label="Start point", visible=False),
        Textbox(label="Creativity", visible=False),
    ]


def place_benchmark() -> Inputs:
    """Puts those of `/benchmark` into the page being built."""
    return [
        PictureInput(label="Picture", visible=False),
        Radio([each.key for each in PROTOCOLS], value=FIRST_PROTOCOL, label="Protocol", visible=False),
        CheckboxGroup(_list_upscalers(), label="Models", visible=False),
        Radio(_list_scales(), value=FIRST_SCALE, label="Scale", visible=False),
        Dropdown(list(OFFERED_KERNELS), value=FIRST_KERNEL, label="Kernel", visible=False),
        Textbox(label="Chains", visible=False),
        PicturesInput(label="Pictures", file_count="multiple", visible=False),
        gr.Checkbox(label="LPIPS", visible=False),
        Checkbox(label="Accept licence", visible=False),
    ]


def _upscaling() -> Inputs:
    """The inputs of an upscale beside what is upscaled."""
    return [
        Dropdown(_list_upscalers(), value=FIRST_MODEL, label="Model", visible=False),
        Radio(_list_scales(), value=FIRST_SCALE, label="Scale", visible=False),
        Number(label="Denoise", visible=False),
        Textbox(label="Size", visible=False),
        Textbox(label="Format", visible=False),
        Number(label="Quality", visible=False),
        Textbox(label="Cleanup", visible=False),
        Textbox(label="Artifacts", visible=False),
        Checkbox(label="Accept licence", visible=False),
    ]


def _list_upscalers() -> list[str]:
    return [model.key for model in catalog.MODELS if not model.cleans]


def _list_scales() -> list[str]:
    return [f"x{factor}" for factor in catalog.SCALES]
