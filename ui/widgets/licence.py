"""The boxes to tick for models whose licence has to be accepted before they are downloaded or run.

Each licence has a box of its own, and their value is which of them were accepted. So a tick is never for another
licence than the one that was read, and it is still there when a model is chosen again.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import gradio as gr

from pipelines import environment
from pipelines.catalog import rows as catalog
from pipelines.catalog.rows import Model, Settings
from ui.widgets.inputs import CheckboxGroup


def place_licence(name: str, *rows: Model) -> CheckboxGroup:
    """Puts the boxes into the page being built, as they are for those models; `name` is their id there."""
    return CheckboxGroup(value=[], elem_id=name, label="Licence", **_describe(rows))


def offer_licence(*rows: Model) -> dict[str, Any]:
    """Returns the change of the boxes to what those models ask for; what was accepted stays so."""
    return gr.update(**_describe(rows))


def accepts(ticked: object, *rows: Model) -> bool:
    """Returns whether these models ask for licences, and all of them are ticked."""
    wanted = _list_wanted(rows)
    return bool(wanted) and not _list_unticked(ticked, wanted)


def check_ticked(ticked: object, *rows: Model) -> None:
    """Raises BadSetting for the first model whose licence is not ticked."""
    catalog.check_accepted(_list_unticked(ticked, _list_wanted(rows)), Settings())


def _list_wanted(rows: Iterable[Model]) -> list[Model]:
    """The models whose licence has to be accepted, unless the page's owner has done it for all."""
    return [row for row in rows if row.terms and row.terms not in environment.accepted_licences()]


def _list_unticked(ticked: object, wanted: Sequence[Model]) -> list[Model]:
    """The models whose licence is not ticked; strangers may send anything."""
    return [row for row in wanted if not isinstance(ticked, list) or row.terms not in ticked]


def _describe(rows: Iterable[Model]) -> dict[str, Any]:
    """The boxes' properties. They are hidden where nothing has to be accepted."""
    wanted = _list_wanted(rows)
    links = " and ".join(dict.fromkeys(f"[{row.terms_url}]({row.terms_url})" for row in wanted))
    return {
        "visible": bool(wanted),
        "choices": [(_name_box(wanted, terms), terms) for terms in dict.fromkeys(row.terms for row in wanted)],
        "info": f"Read it at {links}. Nothing is downloaded before you accept it.",
    }


def _name_box(wanted: Sequence[Model], terms: str) -> str:
    """What the box of those terms says: whose licence it is, and whether they rule out commercial use."""
    bound = [row for row in wanted if row.terms == terms]
    names = " and ".join(dict.fromkeys(row.name for row in bound))
    use = "" if all(row.commercial for row in bound) else ": no commercial use"
    return f"I accept the licence of {names}{use}"
