"""Questions whose answers come late: one that arrives after the visitor has chosen something else undoes nothing.

The answer is kept out of sight, with what it was asked about. The browser fills it in where that is still what is
chosen; else it drops the answer and asks again. Where there are few answers, the page has them all, and none is late.
"""

import json
from collections.abc import Callable, Sequence
from typing import Any

import gradio as gr
from gradio.blocks import Block

from ui.jobs.run_button import Update
from ui.jobs.running import QUIET_EVENT

# An event may change several inputs at once, and the first to change asks while another is still the old one: what
# depends on all of them waits until all have changed.
SETTLE = "() => new Promise((done) => setTimeout(done, 50))"
ASK = "(...given) => [...given.slice(0, -1), JSON.stringify(given.slice(0, -1))]"
FILL = """(answer, again, ...chosen) => {
    const { asked, changes } = JSON.parse(answer);
    const same = { __type__: "update" };
    if (asked === JSON.stringify(chosen)) return [...changes, same];
    return [...changes.map(() => same), String(Number(again) + 1)];
}"""

COMMON = ("__type__", "value", "visible")  # what an update may change of every component


def ask(
    events: Sequence[Any], answer: Callable[..., Update], inputs: Sequence[Block], outputs: Sequence[Block]
) -> None:
    """Has each of the events ask for `answer(*inputs)`, which changes `outputs` unless an input has changed meanwhile.

    What the answer changes is for the browser as it is: values that JSON has, in updates or alone.
    """
    quiet: dict[str, Any] = {**QUIET_EVENT, "queue": False}
    kept, again = gr.Textbox(visible=False), gr.Textbox("0", visible="hidden")

    def keep(*given: Any) -> str:
        *values, asked = given
        changes = answer(*values)
        return json.dumps({"asked": asked, "changes": [_for_browser(each, changes) for each in outputs]})

    settled = gr.on([*events, again.change], None, None, None, js=SETTLE, **quiet)
    asked = settled.then(keep, [*inputs, kept], kept, js=ASK, api_name=answer.__name__, **quiet)
    asked.success(None, [kept, again, *inputs], [*outputs, again], js=FILL, **quiet)


def answer_at_once(answer: Callable[[str], Update], keys: Sequence[str], outputs: Sequence[Block]) -> str:
    """Returns the script of an event that changes `outputs` by `answer(key)` of one of these keys, without the server.

    What the answer changes is as for `ask`.
    """
    answers = {key: answer(key) for key in keys}
    known = {key: [_for_browser(each, changes) for each in outputs] for key, changes in answers.items()}
    return f"(key) => ({json.dumps(known)})[key]"


def _for_browser(block: Block, changes: Update) -> Any:
    """Returns the change of that block as gradio sends it: what is an HTML component's own is among its `props`."""
    change = changes.get(block, gr.update())
    if isinstance(change, Block):
        return {"__type__": "update"} | change.constructor_args
    if not isinstance(block, gr.HTML) or not isinstance(change, dict):
        return change
    own = {name: value for name, value in change.items() if name not in COMMON}
    return {name: change[name] for name in change if name in COMMON} | ({"props": own} if own else {})
