"""The control "Clean up first": nothing, or what restores the image before it is upscaled."""

from dataclasses import dataclass
from typing import Any

import gradio as gr

from pipelines import environment
from pipelines.catalog import rows as catalog
from pipelines.catalog.rows import AUTO_CLEANUP, CLEANUP_RANGE, NO_CLEANUP, Cleanup, Stage
from pipelines.errors import UpscaleError
from pipelines.phrasing import format_download
from pipelines.upscalers.loading import find_lacking
from ui.jobs import model_list
from ui.jobs.run_button import Update
from ui.jobs.running import QUIET_EVENT
from ui.widgets.inputs import Dropdown, Slider

STRENGTH = "strength"  # in place of a number, which the slider has
FIRST_STRENGTH = 0.5
ABOUT = "Removes noise or JPEG marks before upscaling. Type the name of any x1 model, such as omdb/1x-NAME."


@dataclass(frozen=True, slots=True)
class CleanupField:
    """What cleans up, and how strongly where that is chosen by hand."""

    choice: Dropdown
    strength: Slider

    def set(self, choice: str | None, strength: float | None = None) -> Update:
        """Returns the change to that choice; a strength is kept where none is given."""
        slider = gr.update(visible=choice == STRENGTH)
        if strength is not None:
            slider["value"] = strength
        return {self.choice: choice or NO_CLEANUP, self.strength: slider}

    def connect(self) -> None:
        """Has the slider show where it is of use, and the list be that of what is here when it is opened."""
        self.choice.focus(refresh_cleanups, None, self.choice, **QUIET_EVENT, queue=False)
        self.choice.change(
            lambda choice: gr.update(visible=choice == STRENGTH),
            self.choice,
            self.strength,
            **QUIET_EVENT,
            queue=False,
        )


def place_cleanup() -> CleanupField:
    """Puts the control into the page being built."""
    choice = Dropdown(
        offer_cleanups(),
        value=NO_CLEANUP,
        label="Clean up with",
        info=ABOUT,
        allow_custom_value=True,
        elem_id="cleanup",
    )
    strength = Slider(*CLEANUP_RANGE, value=FIRST_STRENGTH, step=0.05, label="Clean-up strength", visible=False)
    return CleanupField(choice, strength)


def offer_cleanups() -> list[tuple[str, str]]:
    """Returns the choices: none, what comes with the program, and the x1 models of OpenModelDB, those here first."""
    adjustable = catalog.find_cleaner()
    rows = [row for row in catalog.MODELS if row.cleans and row is not adjustable]
    found = [
        ("None", NO_CLEANUP),
        (f"{adjustable.name}, automatic", AUTO_CLEANUP),
        (f"{adjustable.name}, by strength", STRENGTH),
    ]
    found += [(f"{row.name} · {_describe_cost(row.key)}", row.key) for row in rows]
    hosts = environment.model_hosts()
    listed = [each for each in catalog.read_openmodeldb().values() if each.scale == 1 and each.loadable(hosts)]
    named = {each: _describe_cost(f"omdb/{each.name}") for each in listed}
    for each in sorted(listed, key=lambda each: (named[each] != "ready", each.name.lower())):
        found.append((f"{each.name} · {each.architecture} · {named[each]}", f"omdb/{each.name}"))
    return found


def refresh_cleanups() -> Any:
    """Returns the change of the list to what there is now; the choice stays. OpenModelDB's list is brought for it."""
    if not catalog.read_openmodeldb():
        model_list.bring()
    return gr.update(choices=offer_cleanups())


def read_cleanup(choice: object, strength: object) -> Cleanup:
    """Returns what the fields ask for. Raises BadSetting for what cannot clean up."""
    return catalog.parse_cleanup(strength if choice == STRENGTH else choice)


def name_cleanup(first: Cleanup) -> str:
    """Returns what is said behind a model's name: " with 1x-DeJPG"; nothing without a clean-up."""
    return "".join(f" with {stage.model.name}" for stage in first.stages)


def _describe_cost(key: str) -> str:
    try:
        missing = find_lacking([Stage(key, 1)])
    except UpscaleError:  # choosing it says what is wrong
        return "unavailable"
    return f"{format_download(sum(each.size for each in missing))} download" if missing else "ready"
