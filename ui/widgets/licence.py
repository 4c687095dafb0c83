"""The box to tick for models whose licence has to be accepted before they are downloaded or run.

A tick is for the licences that were asked for as it was made. They are kept beside the box, and another one takes it
away.
"""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import gradio as gr

from pipelines import environment
from pipelines.catalog.rows import Model


class LicenceBox(NamedTuple):
    """The box, and the licences that it was last there for; nothing until it was."""

    accept: gr.Checkbox
    asked: gr.State


def place_licence(name: str, *rows: Model) -> LicenceBox:
    """Puts the box into the page being built, as it is for those models; `name` is its id there."""
    wanted = _find_wanted(rows)
    return LicenceBox(gr.Checkbox(False, elem_id=name, **_describe(wanted)), gr.State(_list_terms(wanted)))


def offer_licence(box: LicenceBox, asked: Sequence[str], *rows: Model) -> dict[Any, Any]:
    """Returns the changes to what those models ask for, where `asked` was before: with another licence, no tick."""
    wanted = _find_wanted(rows)
    terms = _list_terms(wanted)
    untick: dict[str, Any] = {} if not asked or set(terms) <= set(asked) else {"value": False}
    return {box.accept: gr.update(**_describe(wanted), **untick), box.asked: terms or list(asked)}


def _find_wanted(rows: Iterable[Model]) -> list[Model]:
    """The models whose licence has to be accepted, unless the page's owner has done it for all."""
    return [row for row in rows if row.terms and row.terms not in environment.accepted_licences()]


def _list_terms(wanted: Sequence[Model]) -> list[str]:
    return sorted({row.terms for row in wanted})


def _describe(wanted: Sequence[Model]) -> dict[str, Any]:
    """The box's properties; it is hidden where nothing has to be accepted."""
    names = list(dict.fromkeys(row.name for row in wanted))
    restricted = list(dict.fromkeys(row.name for row in wanted if not row.commercial))
    addresses = list(dict.fromkeys(row.terms_url for row in wanted))
    links = _join([f"[{each}]({each})" for each in addresses])
    many = len(_list_terms(wanted)) > 1
    use = "no commercial use" if restricted == names else f"no commercial use of {_join(restricted)}"
    return {
        "visible": bool(wanted),
        "label": f"I accept the {'licences' if many else 'licence'} of {_join(names)}"
        + (f" ({use})" if restricted else ""),
        "info": f"Read {'them' if many else 'it'} at {links}. Nothing is downloaded before you accept.",
    }


def _join(words: Sequence[str]) -> str:
    """Returns them to read: "a", "a and b", "a, b and c"."""
    return " and ".join(filter(None, [", ".join(words[:-1]), *words[-1:]]))
