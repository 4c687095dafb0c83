"""A session is its own, and as small as what it differs from the page by: every call of the API is one."""

import tracemalloc

import gradio as gr
from fastapi.testclient import TestClient
from gradio.routes import App

from ui import page
from ui.jobs.sessions import Session, Sessions, make_lifespan


def test_what_one_session_changes_no_other_sees() -> None:
    with gr.Blocks() as blocks:
        text, kept = gr.Textbox("as built"), gr.State([])
    one, other = Session(blocks), Session(blocks)
    one[kept._id].append("mine")
    assert (one[kept._id], other[kept._id]) == (["mine"], [])
    one[kept._id] = ["another"]
    assert (one[kept._id], other[kept._id]) == (["another"], [])
    assert [value for _, value, _ in one.state_components] == [["another"]]
    one[text._id] = changed = gr.Textbox("changed", render=False)
    assert one[text._id] is changed and other[text._id] is text and blocks.blocks[text._id] is text
    assert one[kept._id] == ["another"] and text._id in other


def test_a_session_of_the_page_is_small() -> None:
    """Gradio's own takes 0.65 MB, for as many as 10 000 sessions."""
    blocks = page.build()
    Session(blocks)
    tracemalloc.start()
    try:
        kept = [Session(blocks) for _ in range(20)]
        taken, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(kept) == 20 and taken / 20 < 10_000


def test_an_app_keeps_its_sessions_so_and_begins_and_ends_what_others_do() -> None:
    begun: list[str] = []
    with gr.Blocks() as blocks:
        text = gr.Textbox()
        gr.Button().click(lambda: gr.Textbox("told", label="changed"), None, text, api_name="tell")

    class Other:
        def __init__(self, app: App) -> None:
            assert isinstance(app.state_holder, Sessions)

        async def __aenter__(self) -> None:
            begun.append("begun")

        async def __aexit__(self, *error: object) -> None:
            begun.append("ended")

    app = App.create_app(blocks, app_kwargs={"lifespan": make_lifespan(Other)})
    with TestClient(app) as client:
        sent = {"data": [], "session_hash": "mine", "fn_index": 0}
        answer = client.post("/gradio_api/run/tell", json=sent)
        assert answer.json()["data"][0]["label"] == "changed"
        session = app.state_holder["mine"]
        assert isinstance(session, Session) and session.config_values == {} and begun == ["begun"]
        assert session[text._id].label == "changed" and blocks.blocks[text._id].label is None
    assert begun == ["begun", "ended"]
    assert page.launch_options()["app_kwargs"]["lifespan"].__module__ == "ui.jobs.sessions"
