"""The box to tick for a model whose licence has to be accepted before it is downloaded or run."""

import gradio as gr

from pipelines import environment
from pipelines.catalog.rows import Model

ABOUT_LICENCE = "It is at github.com/Fanghua-Yu/SUPIR. Nothing is downloaded before you accept it."


def place_licence(name: str, row: Model) -> gr.Checkbox:
    """Puts the box into the page being built, for a model; `name` is its id there."""
    label = "I accept the model's licence: no commercial use"
    return gr.Checkbox(False, label=label, info=ABOUT_LICENCE, visible=wants_licence(row), elem_id=name)


def wants_licence(row: Model) -> bool:
    """Returns whether a visitor has to accept the licence: the owner of the page has not done it for all."""
    return bool(row.terms) and row.terms not in environment.accepted_licences()
