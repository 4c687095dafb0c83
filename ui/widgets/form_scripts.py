"""What the Upscale form does in the browser: what a choice changes at once, and which of the server's answers counts.

A choice is taken here, without the server, so no answer to an earlier one can undo it. All that depends on the choices
is asked of the server in one event, one question at a time. Its answer fills in what it offers, and chooses anything
itself only where nothing was chosen since it was asked for: else it is asked again.
"""

import json

from pipelines.catalog.rows import PURPOSES

_MODELS = json.dumps({each.key: each.model for each in PURPOSES})
_PURPOSES = json.dumps({each.model: each.key for each in PURPOSES})
# An event may change the image and the model at once, and the first to change asks while the other is still the old
# one: what depends on both waits until all have.
SETTLE = "() => new Promise((done) => setTimeout(done, 50))"
# Begins what follows without keeping others that wait for the same event until the server has answered.
GO_ON = "() => {}"
# A purpose or a model that was clicked: what goes with it, nothing to be said of it any more, and that it was clicked.
TAKE_PURPOSE = f"(purpose) => [({_MODELS})[purpose], '', '', true]"
TAKE_MODEL = f"(model) => [({_PURPOSES})[model] ?? '', '', '', true]"
# The choices as one text, to know them again. Of a batch the form looks at the first image alone.
_STAMP = """((picture, ...choices) =>
    JSON.stringify([picture?.length ?? 0, picture?.[0]?.file?.path ?? null, ...choices]))"""
# The last two are the licences that were asked for, which only the server knows, and the answer before.
ASK = f"(...given) => [...given.slice(0, -1), {_STAMP}(...given.slice(0, -2))]"
ANSWER = f"""(answer, again, ...choices) => {{
    const same = {{ __type__: "update" }};
    const {{ asked, scale, model, purpose, why }} = JSON.parse(answer || "{{}}");
    if (asked !== {_STAMP}(...choices)) return [same, same, same, same, String(Number(again) + 1)];
    if (scale === undefined) return [same, same, same, same, same];
    const chosen = choices.slice(1);
    const set = (value, at) => (value === chosen[at] ? same : value);
    return [purpose, set(model, 0), set(scale, 2), why, same];
}}"""
