"""What the page's address says of a comparison: protocol, scale, kernel, models and chains."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass

import gradio as gr

from pipelines.catalog import rows as catalog
from pipelines.measuring.run import check_kernel, find_protocol
from pipelines.phrasing import printable
from ui.jobs.line_up import list_chains, model_choices
from ui.jobs.offered import list_offered
from ui.widgets.links import LONGEST_SHOWN, Asked, read_link

LINK_TAB = "compare"
FIELDS = ("protocol", "scale", "kernel", "models", "chains")


@dataclass(frozen=True, slots=True)
class LinkedComparison:
    """What an address asks for, with the usual in place of what it leaves out, and what to say of it, as HTML."""

    protocol: str
    scale: str
    kernel: str
    models: list[str]
    chains: list[str] | None
    note: str


def read_comparison(request: gr.Request, protocol: str, scale: str, kernel: str) -> LinkedComparison | None:
    """Returns what the page's address asks of a comparison, else these; None where it asks for nothing of it."""
    asked = read_link(request, LINK_TAB, FIELDS)
    if asked is None:
        return None
    protocol = asked.read("protocol", lambda text: find_protocol(text).key) or protocol
    scale = asked.read("scale", _parse_scale) or scale
    kernel = asked.read("kernel", _parse_kernel, "kernel") or kernel
    line_up = model_choices(protocol, scale)
    models = _list_known(asked, "models", asked.given.get("models", "").split(","), [key for _, key in line_up.choices])
    stages = asked.given.get("chains", "").split(",")  # two of each chain, joined by commas as chains are
    pairs = [",".join(stages[at : at + 2]) for at in range(0, len(stages), 2)]
    chains = _list_known(asked, "chains", pairs, list_chains(list_offered()))
    if models is None:
        models = line_up.ticked
    return LinkedComparison(protocol, scale, kernel, models, chains, asked.tell("Press Compare to run."))


def _parse_scale(text: str) -> str:
    return f"x{catalog.parse_scale(text)}"


def _parse_kernel(text: str) -> str:
    check_kernel(text)
    return text


def _list_known(asked: Asked, name: str, texts: Iterable[str], known: Collection[str]) -> list[str] | None:
    """Returns those of a parameter's values that there are, and names each other one; None where it is left out."""
    if name not in asked.given:
        return None
    found = []
    for text in filter(None, texts):
        if text in known:
            found.append(text)
        else:
            asked.wrong.append(f"“{printable(text[:LONGEST_SHOWN])}” is not among the {name} here.")
    return found
