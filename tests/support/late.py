"""An answer of the server that comes late, to see that it undoes nothing that a visitor did in the meantime."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from playwright.sync_api import Page, Request, Route

FIND_EVENTS = """(name) => window.gradio_config.dependencies
    .filter((each) => each.backend_fn && each.api_name === name).map((each) => each.id)"""


@contextmanager
def answered_late(page: Page, event: str, begin: Callable[[], object]) -> Iterator[None]:
    """Has the event that `begin` brings about answered when the block has ended; `event` is its function's name."""
    events, held = page.evaluate(FIND_EVENTS, event), list[Route]()
    assert events, "there is such an event"

    def asks(request: Request) -> bool:
        return "/run/predict" in request.url and request.post_data_json["fn_index"] in events

    def hold(route: Route) -> None:
        if held or not asks(route.request):
            route.continue_()
        else:
            held.append(route)

    page.route("**/run/predict*", hold)
    with page.expect_request(asks):
        begin()
    yield
    held[0].continue_()
