"""The box to tick for models whose licence has to be accepted before they are downloaded or run."""

from collections.abc import Iterable
from typing import Any

import gradio as gr

from pipelines import environment
from pipelines.catalog.rows import Model


def place_licence(name: str, *rows: Model) -> gr.Checkbox:
    """Puts the box into the page being built, as it is for those models; `name` is its id there."""
    return gr.Checkbox(False, elem_id=name, **_describe(rows))


def offer_licence(*rows: Model) -> dict[str, Any]:
    """Returns the change of the box to what those models ask for; a tick stays."""
    return gr.update(**_describe(rows))


def _describe(rows: Iterable[Model]) -> dict[str, Any]:
    """The box's properties. It is hidden where nothing has to be accepted, or the page's owner has done it for all."""
    wanted = [row for row in rows if row.terms and row.terms not in environment.accepted_licences()]
    names = " and ".join(dict.fromkeys(row.name for row in wanted))
    links = " and ".join(dict.fromkeys(f"[{row.terms_url}]({row.terms_url})" for row in wanted))
    use = "" if all(row.commercial for row in wanted) else ": no commercial use"
    return {
        "visible": bool(wanted),
        "label": f"I accept the licence of {names}{use}",
        "info": f"Read it at {links}. Nothing is downloaded before you accept it.",
    }
