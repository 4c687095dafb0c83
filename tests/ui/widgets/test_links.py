"""What a link asks for, and what is said of what there is not."""

import gradio as gr
import pytest

from pipelines.catalog import rows as catalog
from ui.examples import find_example
from ui.widgets.links import Asked, find_tab, read_link


def request(**query: str) -> gr.Request:
    return gr.Request(query_params=query)


def test_a_link_is_for_one_tab() -> None:
    names = ("model", "scale")
    asked = read_link(request(model="swift", other="x"), "upscale", names)
    assert asked is not None and asked.given == {"model": "swift"}
    assert read_link(request(model="swift", tab="prompt"), "upscale", names) is None
    assert read_link(request(model="swift", tab="prompt"), "prompt", names) is not None
    assert read_link(request(other="x", __theme="dark"), "upscale", names) is None
    assert [find_tab(request(tab=name)) for name in ("chained", "nonsense")] == ["chained", "upscale"]


@pytest.mark.parametrize(
    ("given", "parse", "value", "sentence"),
    [
        ({"example": "drawing"}, find_example, find_example("drawing"), ""),
        ({}, find_example, None, ""),
        ({"example": "zzz"}, find_example, None, "There is no example “zzz”."),
        ({"example": "99"}, catalog.parse_scale, None, "There is no example “99”."),
        ({"example": "a\n" * 50}, find_example, None, f"There is no example “{'a?' * 20}”."),
    ],
)
def test_an_unknown_value_is_named(given: dict[str, str], parse: object, value: object, sentence: str) -> None:
    asked = Asked(given)
    assert asked.read("example", parse) == value  # type: ignore[arg-type]
    assert " ".join(asked.wrong) == sentence


def test_what_is_said_is_escaped_and_nothing_is_no_line() -> None:
    asked = Asked({"model": "<b>"})
    assert asked.tell() == ""
    asked.read("model", {}.get)
    assert asked.tell("Press Upscale to run.") == (
        '<p class="link-note" role="status">There is no model “&lt;b&gt;”. Press Upscale to run.</p>'
    )
