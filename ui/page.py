"""The page: its tabs, and how it is served."""

import inspect
import json
import logging
import re
import threading
import time
from typing import Any

import gradio as gr
from fastapi import Request
from fastapi.responses import JSONResponse
from gradio.block_function import BlockFunction
from starlette.middleware import Middleware
from starlette.routing import BaseRoute

from pipelines import environment
from pipelines.catalog.rows import MODELS
from ui import api
from ui.answers import Answers
from ui.examples import EXAMPLES_FOLDER, STATIC
from ui.jobs import prefetching, results
from ui.jobs.listening import STOPPING, ListeningQueue
from ui.jobs.running import MOST_AT_ONCE, QUIET_EVENT
from ui.jobs.sessions import Lifespan, make_lifespan
from ui.preview_card import PreviewCard
from ui.sharing import routes
from ui.tabs import chained, compare, prompt, upscale
from ui.theme import THEME
from ui.widgets.advice import FIRST_MODEL
from ui.widgets.links import TABS, find_tab
from ui.widgets.viewer import viewer_script

TITLE = "Upscale Bench"
ABOUT = f"Upscale an image with {sum(not row.cleans for row in MODELS)} models – and measure which one is best for it."
HEAD = f"<header><h1>{TITLE}</h1><p>{ABOUT}</p></header>"
PAGE_SCRIPTS = ("links.js", "page.js", "choosing/page.js", "problem.js", "focus.js", "share.js")  # each a function
OTHER_THREADS = 40  # for all events but the heavy ones
FIRST_ANSWER_SECONDS = 0.5  # seconds left to the page alone, for whoever waits for it to open

# What gradio's client says of arguments, in the two cases that a caller can mend.
CALL_ERROR = re.compile(r"Parameter `(.*)` is not a valid|No value provided for required argument: (.*)")

log = logging.getLogger(__name__)


class Page(gr.Blocks):
    """Blocks that answer malformed input with a message, where gradio's own answer nothing and print a traceback.

    A call that sends its values as a list may leave out the last ones, as far as they are None then: who wrote it may
    not know of what was added since.
    """

    def queue(self, *given: Any, **options: Any) -> "Page":
        super().queue(*given, **options)
        before = self._queue
        self._queue = ListeningQueue(
            find_patience=results.find_patience,
            live_updates=before.live_updates,
            concurrency_count=before.max_thread_count,
            update_intervals=before.update_intervals,
            max_size=before.max_size,
            blocks=self,
            default_concurrency_limit=before.default_concurrency_limit,
        )
        return self

    async def preprocess_data(self, block_fn: BlockFunction, inputs: list[Any], *more: Any, **options: Any) -> Any:
        if block_fn.fn is None:  # all that it does, the browser does by itself
            raise gr.Error("There is no such function.", print_exception=False)
        if len(inputs) > len(block_fn.inputs):
            message = f"It takes at most {len(block_fn.inputs)} values, not {len(inputs)}."
            raise gr.Error(message, print_exception=False)
        try:
            return await super().preprocess_data(block_fn, _filled(block_fn, inputs), *more, **options)
        except gr.Error as error:  # gradio's own are for the log too, which strangers may fill all day
            said = "That is not one of the choices." if "list of choices" in str(error.message) else error.message
            raise gr.Error(said, print_exception=False) from None
        except Exception:
            log.debug("the input is malformed", exc_info=True)  # no more: strangers may send it all day
            message = "The image must be uploaded first or sent as a data: address, with a model and a scale."
            raise gr.Error(message, print_exception=False) from None


def _filled(block_fn: BlockFunction, inputs: list[Any]) -> list[Any]:
    lacking = block_fn.inputs[len(inputs) :]
    if not lacking or block_fn.fn is None:
        return inputs
    parameters = [*inspect.signature(block_fn.fn).parameters.values()][len(inputs) :]
    optional = len(parameters) == len(lacking) and all(each.default is None for each in parameters)
    return [*inputs, *(None for _ in lacking)] if optional else inputs


def build() -> gr.Blocks:
    """The whole page, ready to be launched."""
    page = Page(title=TITLE, analytics_enabled=False)
    with page:
        gr.HTML(HEAD, elem_id="head")
        # All tabs in sight: in a row of their own where they do not fit, not behind three dots.
        with gr.Tabs(overflow_behavior="wrap") as tabs:
            with gr.Tab("Upscale", id="upscale"):
                upscale_tab = upscale.build(page)
            with gr.Tab("Compare", id="compare"):
                compare.build(page)
            with gr.Tab("Chained 8x", id="chained"):
                chained_tab = chained.build(page)
            with gr.Tab("Prompt", id="prompt"):
                prompt_tab = prompt.build(page)
        api.build()
        _offer_first_model(upscale_tab, chained_tab, prompt_tab, tabs)
        _follow_tabs(page, tabs)
    # Closed, or a request could pass the queue by.
    page.queue(api_open=False, max_size=environment.queue_length())
    return page


def _offer_first_model(
    upscale_tab: upscale.UpscaleTab, chained_tab: chained.ChainedTab, prompt_tab: prompt.PromptTab, tabs: gr.Tabs
) -> None:
    """Has the button of an error do by the first model, which needs no download, what another one's files lack for."""
    quiet: dict[str, Any] = {**QUIET_EVENT, "queue": False}
    to_upscale = prompt_tab.button.problem.instead.click(lambda: gr.Tabs(selected="upscale"), None, tabs, **quiet)
    for chosen, picture in (
        (to_upscale.then, prompt_tab.picture),
        (upscale_tab.button.problem.instead.click, upscale_tab.picture),
    ):
        ready = chosen(upscale_tab.choose_other, picture, upscale_tab.choice, **quiet)
        ready.then(None, None, None, js=upscale_tab.button.press())
    stages = [chained_tab.first, chained_tab.second]
    ready = chained_tab.button.problem.instead.click(lambda: [FIRST_MODEL] * 2, None, stages, **quiet)
    ready.then(None, None, None, js=chained_tab.button.press())


def _follow_tabs(page: gr.Blocks, tabs: gr.Tabs) -> None:
    """Opens the tab that the page's address asks for, and has the address say which one is in sight."""
    page.load(_open_tab, None, tabs, **QUIET_EVENT, queue=False)
    for tab in [block for block in page.blocks.values() if isinstance(block, gr.Tab)]:
        tab.select(None, None, None, js=f"() => {{ links.show({json.dumps(tab.id)}); }}", **QUIET_EVENT, queue=False)


def _open_tab(request: gr.Request) -> Any:
    asked = find_tab(request)
    return gr.skip() if asked == TABS[0] else gr.Tabs(selected=asked)


def warm_up(page: gr.Blocks) -> None:
    """Loads the first model as soon as the page is open: libraries take longer to load than the model to run."""

    def once_open() -> None:
        while not page.is_running:
            time.sleep(0.05)
        time.sleep(FIRST_ANSWER_SECONDS)
        upscale.load_first_model()
        prefetching.fetch_named()

    if environment.zero_gpu():
        # Not in a thread: a process that is forked while one loads would inherit locks that nobody opens.
        upscale.load_first_model()
    else:
        threading.Thread(target=once_open, daemon=True).start()


def end_runs(page: gr.Blocks) -> int:
    """Ends all runs of a page that is about to be closed, and tells who listens; returns how many listen."""
    return page._queue.tell_all(STOPPING) if isinstance(page._queue, ListeningQueue) else 0


async def explain_call(request: Request, error: Exception) -> JSONResponse:
    """Answers a call whose arguments do not fit with one sentence; gradio's own is HTTP 500 and a traceback."""
    found = CALL_ERROR.match(str(error))
    if "/call/v2/" not in request.url.path or found is None:
        raise error
    unknown, missing = found.groups()
    said = f"There is no argument {unknown!r}." if unknown else f"The argument {missing!r} is missing."
    return JSONResponse({"detail": said}, status_code=422)


def _script() -> str:
    scripts = [*((STATIC / name).read_text() for name in PAGE_SCRIPTS), viewer_script()]
    return f"() => {{ {' '.join(f'({script})();' for script in scripts)} }}"


def launch_options() -> dict[str, Any]:
    """Returns what `launch` needs beyond the page itself."""
    more: list[BaseRoute] = [*routes.make_routes()]
    lifespans: list[Lifespan] = []
    if environment.mcp():
        from ui import mcp_server

        added, lifespan = mcp_server.make_parts()
        more, lifespans = [*more, *added], [lifespan]
    return {
        "server_port": environment.port(),
        "root_path": environment.root_path(),
        "max_threads": OTHER_THREADS + MOST_AT_ONCE,
        "max_file_size": environment.limits().file_bytes,
        "allowed_paths": [str(EXAMPLES_FOLDER)],
        "footer_links": ["api"],
        "app_kwargs": {
            "exception_handlers": {TypeError: explain_call},
            "middleware": [
                Middleware(Answers),
                Middleware(PreviewCard, TITLE, ABOUT, (STATIC / "still.js").read_text()),
            ],
            "routes": more,
            "lifespan": make_lifespan(*lifespans),
        },
        "theme": THEME,
        "css_paths": [STATIC / "page.css"],
        "js": _script(),
    }
