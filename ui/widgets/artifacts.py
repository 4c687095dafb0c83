"""The control "JPEG artifacts": by which of its networks a model that has two upscales."""

from dataclasses import dataclass

import gradio as gr

from pipelines.catalog.rows import Model
from ui.widgets.inputs import Dropdown

AUTO = "auto"
ABOUT = "Automatic decides from the image. Never remove keeps the most detail on clean images."
CHOICES = [("Automatic", AUTO), ("Never remove", "none"), ("Always remove", "remove")]


@dataclass(frozen=True, slots=True)
class ArtifactsField:
    """What was chosen, and the part of the page that shows it."""

    choice: Dropdown
    part: gr.Accordion


def place_artifacts(row: Model) -> ArtifactsField:
    """Puts the control into the page being built, in sight where the model takes it."""
    with gr.Accordion("Advanced", open=False, visible="artifacts" in row.takes) as advanced:
        choice = Dropdown(
            CHOICES, value=AUTO, label="JPEG artifacts", info=ABOUT, filterable=False, elem_id="artifacts"
        )
    return ArtifactsField(choice, advanced)


def read_artifacts(choice: str | None) -> str | None:
    """Returns the setting of a choice: none where it is as usual, so that nothing is said of it."""
    return None if choice == AUTO else choice
