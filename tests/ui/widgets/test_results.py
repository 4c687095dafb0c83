"""The results of a comparison, as HTML and in Chromium: sorted, explained, and replaced as rows come in."""

import re
from collections.abc import Iterator, Sequence

import gradio as gr
import pytest
from markupsafe import escape
from playwright.sync_api import Browser, Locator, Page, expect

from pipelines.measuring.rows import Row, find_metric
from tests.conftest import free_port, visit
from tests.support.rows import row, several
from tests.support.visitor import check_state, watch_console
from ui.examples import STATIC
from ui.theme import THEME
from ui.widgets.results import place_panel, render_details, render_table, render_verdict

HOSTILE = '<img src="http://stray.invalid/x.png" onerror="alert(1)">\'{{ 7*7 }}${1}\udcff.png'
CHAIN = "lapsrn:4,fsrcnn:2"
MODELS = ("nearest", "bicubic", CHAIN, "real-esrgan-general")
NETWORKS = MODELS[2:]
NAMES = ["Real-ESRGAN general", "LapSRN x4 then FSRCNN x2", "Bicubic", "Nearest neighbour", "EDSR"]  # best first
REASON = "EDSR_x2.pb (40 MB) cannot be had: <b>no</b> network."


def scored(model: str, image: str, better: float) -> Row:
    """A row with every score: the better the more, but for what it costs and how true it stays."""
    return row(
        model, image, mse=90 - better, mse_y=70 - better, psnr=28 + better, psnr_y=30 + better, ssim=0.8 + better / 50,
        ssim_y=0.82 + better / 50, ms_ssim=0.95 + better / 200, lpips=0.3 - better / 20, consistency_psnr=40 - better,
        seconds=0.02 * 10**better, runs=1 if better > 2.9 else 5, peak_mb=100.0 + better,
        params=20_000 if model in NETWORKS else None, weights_bytes=86_000 if model in NETWORKS else None,
        stage_seconds=(0.5, 0.1) if "," in model else None, notes=("It ran in 4 tiles.",) if better > 2.9 else (),
    )  # fmt: skip


def rows_of(*images: str) -> list[Row]:
    """Four methods and one that fails, on each picture."""
    rows = []
    for number, image in enumerate(images):
        rows += [scored(model, image, better + number / 9) for better, model in enumerate(MODELS)]
        rows.append(row("edsr", image, error=REASON))
    return rows


MANY = rows_of(HOSTILE, *"abcdefg")


def whole(rows: Sequence[Row], protocol: str, kernel: str) -> str:
    """All that the page says of rows that are done."""
    return (
        render_verdict(rows)
        + render_table(rows, protocol, kernel, running=False)
        + render_details(rows, protocol, kernel)
    )


def test_nothing_is_known_before_the_first_row() -> None:
    assert render_table([], "round-trip", "bicubic", running=True) == ""
    assert "<h2>Nothing was scored</h2>" in whole([], "round-trip", "bicubic")


def test_what_comes_from_outside_is_escaped() -> None:
    html = whole([*MANY, row("bicubic", "<i>", error="<script>", notes=("<u>&",))], "round-trip", "bicubic")
    for hostile in ("<img", "<b>no", "<i>", "<script", "<u>"):
        assert hostile not in html
    assert "&lt;b&gt;no&lt;/b&gt; network." in html and "{{ 7*7 }}${1}?.png" in html


def test_the_best_is_marked_by_a_word_as_well() -> None:
    html = whole([row("a", psnr_y=30.0), row("b", psnr_y=31.0)], "round-trip", "bicubic")
    assert '<td class="best" data-value="31.0">31.00<span class="unseen"> (best)</span></td>' in html
    assert html.count('<span class="unseen"> (best)') == 1


def test_infinity_and_what_is_missing() -> None:
    html = whole([row("perfect", mse_y=0.0), row("other", psnr_y=30.0), row("none")], "round-trip", "bicubic")
    assert 'data-value="Infinity">∞' in html and "<td>–</td>" in html
    assert "PSNR Y is infinite for 1 image, which the mean leaves out." in html


def test_what_each_column_means_and_which_direction_is_better() -> None:
    html = whole(MANY, "round-trip", "bicubic")
    for key in ("psnr_y", "lpips", "consistency_psnr"):
        assert escape(find_metric(key).about) in html
    assert ">LPIPS</span><small>lower is better</small>" in html
    assert ">Parameters</span></button>" in html, "neither more nor fewer are better"


def test_several_pictures_chains_and_failures_are_told() -> None:
    html = whole(MANY, "round-trip", "bicubic")
    for needed in (
        "Closest to the original at x2 over 8 images", "All models, means over 8 images", "95 % interval",
        "timed once", "LapSRN x4 then FSRCNN x2", "1/8 → 1/2", "not rounded to 8 bits",
        "on 8 images: EDSR_x2.pb (40 MB)",
        "Image by image", "<svg", "Pareto front", "<strong>Real-ESRGAN general</strong>: It ran in 4 tiles.",
    ):  # fmt: skip
        assert needed in html
    assert '<th scope="col">Stage</th>' in html, "the stages stay in their order"
    assert html.count("Shrunk by bicubic (antialiased bicubic, as MATLAB&#39;s imresize).") == 1 + 1 + 2 + 3


def test_means_are_over_the_pictures_that_all_scored() -> None:
    rows = [*several("espcn", [30, 31]), row("espcn", "2.png", error="No room."), *several("lapsrn", [31, 32, 20])]
    html = whole(rows, "round-trip", "bicubic")
    assert "All models, means over 2 images" in html and "The means are over the 2 of 3 images" in html


def test_too_few_images_for_a_test_are_told() -> None:
    rows = [*several("bicubic", [30, 31, 32]), *several("lapsrn", [30.5, 31.4, 32.3])]
    html = whole(rows, "round-trip", "bicubic")
    assert "PSNR Y: too few images to say (6 needed)" in html
    assert "For a statistical test of 2 models add 3 more images." in html


@pytest.mark.parametrize("reason", ["The server could not download NIQE (12 kB).", "NIQE needs a larger image"])
def test_why_nobody_was_called_natural_ends_in_one_full_stop(reason: str) -> None:
    html = render_verdict([row(model, psnr_y=30.0, notes=(f"niqe: {reason}",)) for model in ("bicubic", "espcn")])
    assert f"Not measured. {reason.removesuffix('.')}.</p>" in html


def test_one_picture_has_no_statistics_of_several() -> None:
    html = whole(rows_of("one.png"), "round-trip", "spline")
    for absent in ("Wilcoxon", "Image by image", "interval", "None"):
        assert absent not in html
    assert "Shrunk by spline." in html


def test_while_running_only_what_is_quick_is_told() -> None:
    html = render_table(MANY, "round-trip", "bicubic", running=True)
    for absent in ("verdict", "Wilcoxon", "Image by image", " to 3"):
        assert absent not in html
    for needed in ("means over 8 images", "The intervals come at the end. ★ best", "40 MB"):
        assert needed in html
    assert "Scores so far. ★ best" in render_table(MANY[:5], "round-trip", "bicubic", running=True)


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A page with the results, and buttons that give it others."""
    values = {
        "First": render_table(MANY[:2], "round-trip", "bicubic", running=True),
        "Half": render_table(MANY[:20], "round-trip", "bicubic", running=True),
        "All": whole(MANY, "round-trip", "bicubic"),
        "One": render_table(
            [row("perfect", mse_y=0.0), row("none"), row("other", psnr_y=30.0)], "round-trip", "area", running=False
        ),
        "None": "",
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GRADIO_TEMP_DIR", str(tmp_path_factory.mktemp("gradio")))
        with gr.Blocks(analytics_enabled=False) as page:
            gr.HTML("<h1>Results</h1>")
            with gr.Row():
                buttons = [gr.Button(name) for name in values]
            shown = place_panel()
            for button, value in zip(buttons, values.values(), strict=True):
                button.click(lambda value=value: value, None, shown, queue=False)
        css = STATIC / "page.css"
        _, local, _ = page.launch(
            server_port=free_port(),
            prevent_thread_lock=True,
            quiet=True,
            theme=THEME,
            css_paths=css,
            footer_links=[],
        )
        yield local
        page.close()


@pytest.fixture
def page(browser: Browser, address: str, request: pytest.FixtureRequest) -> Iterator[Page]:
    """The results of all rows; `parametrize` it with (width, colour scheme). The console must stay empty."""
    width, scheme = getattr(request, "param", (1280, "light"))
    with visit(browser, width, scheme, address) as page:
        messages = watch_console(page, "error", "warning")
        page.goto(address)
        give(page, "All")
        expect(page.locator(".claims")).to_be_visible()
        give(page, "All columns")
        yield page
        assert messages == []


def give(page: Page, name: str) -> None:
    page.get_by_role("button", name=name, exact=True).click()


def head(page: Page, name: str) -> Locator:
    """The summary's head of that name."""
    return page.locator("table").first.get_by_role("columnheader", name=name)


def order(page: Page) -> list[str]:
    return page.locator("table").first.locator("tbody th").all_text_contents()


def test_a_click_sorts_down_up_and_back(page: Page) -> None:
    """The first click puts the better values first; what is missing stays last."""
    psnr = head(page, "PSNR Y, dB")
    assert order(page) == NAMES
    for direction, names in [("descending", NAMES[:4]), ("ascending", NAMES[3::-1])]:
        psnr.get_by_role("button").click()
        expect(psnr).to_have_attribute("aria-sort", direction)
        assert order(page) == [*names, "EDSR"]
    psnr.get_by_role("button").click()
    expect(psnr).not_to_have_attribute("aria-sort", re.compile(""))
    assert order(page) == NAMES


def test_where_less_is_better_less_comes_first(page: Page) -> None:
    head(page, "Time").get_by_role("button").click()
    expect(head(page, "Time")).to_have_attribute("aria-sort", "ascending")
    assert order(page) == [*NAMES[3::-1], "EDSR"]
    head(page, "Model").get_by_role("button").click()
    assert order(page) == sorted(NAMES)
    expect(page.locator("[aria-sort]")).to_have_count(1)


@pytest.mark.parametrize("key", ["Enter", "Space"])
def test_keys_sort(page: Page, key: str) -> None:
    head(page, "Time").get_by_role("button").focus()
    page.keyboard.press(key)
    expect(head(page, "Time")).to_have_attribute("aria-sort", "ascending")
    assert order(page) == [*NAMES[3::-1], "EDSR"]


def test_equal_values_stay_in_their_order(page: Page) -> None:
    for _ in range(2):
        head(page, "Parameters").get_by_role("button").click()
        assert order(page) == NAMES


def test_columns_and_intervals_are_shown_where_they_are_asked_for(page: Page) -> None:
    """At first the few columns that everybody needs; what was asked for outlasts rows that come in."""
    interval = page.locator("table").first.locator(".interval").first
    for shown in (True, False):
        expect(head(page, "Parameters")).to_be_visible(visible=shown)
        give(page, "Half")
        give(page, "All")
        expect(head(page, "Parameters")).to_be_visible(visible=shown)
        expect(interval).not_to_be_visible()
        give(page, "All columns")
    give(page, "Intervals")
    expect(interval).to_be_visible()


def test_infinity_is_more_than_any_number(page: Page) -> None:
    give(page, "One")
    expect(page.locator("table").first.locator("tbody th")).to_have_text(["perfect", "other", "none"])
    for names in (["perfect", "other", "none"], ["other", "perfect", "none"]):
        head(page, "PSNR Y, dB").get_by_role("button").click()
        assert order(page) == names


def test_the_order_outlasts_rows_that_come_in(page: Page) -> None:
    give(page, "First")
    rows = page.locator("table").first.locator("tbody th")
    expect(rows).to_have_text(NAMES[2:4])
    head(page, "PSNR Y, dB").get_by_role("button").click(click_count=2)
    for name, names in [("Half", [*NAMES[3::-1], "EDSR"]), ("First", NAMES[3:1:-1]), ("None", [])]:
        give(page, name)
        expect(rows).to_have_text(names)
    give(page, "All")
    expect(rows).to_have_text([*NAMES[3::-1], "EDSR"])
    cells = page.locator("table").first.locator("tbody tr").first.locator("td")
    assert cells.first.inner_text() == "4" and "30." in cells.nth(1).inner_text(), "each row keeps its own cells"
    head(page, "PSNR Y, dB").get_by_role("button").click()
    assert order(page) == NAMES


def test_a_column_is_explained_to_the_pointer(page: Page) -> None:
    tip = page.get_by_role("tooltip")
    head(page, "PSNR Y, dB").hover()
    expect(tip).to_have_text(find_metric("psnr_y").about)
    tip.hover()
    expect(tip).to_be_visible()
    page.keyboard.press("Escape")
    expect(tip).not_to_be_visible()
    head(page, "LPIPS").hover()
    expect(tip).to_have_text(find_metric("lpips").about)
    page.mouse.move(5, 5)
    expect(tip).not_to_be_visible()


def test_a_column_is_explained_to_keys(page: Page) -> None:
    head(page, "Model").get_by_role("button").focus()
    page.keyboard.press("Tab")
    button, tip = head(page, "PSNR Y, dB").get_by_role("button"), page.get_by_role("tooltip")
    expect(button).to_be_focused()
    expect(tip).to_have_text(find_metric("psnr_y").about)
    expect(button).to_have_accessible_description(find_metric("psnr_y").about)
    page.keyboard.press("Enter")
    expect(tip).to_be_visible()
    page.keyboard.press("Escape")
    expect(tip).not_to_be_visible()
    page.keyboard.press("Tab")
    expect(tip).to_have_text(find_metric("ssim_y").about)
    for _ in range(11):  # to the last column, which lies beyond what the table shows at once
        page.keyboard.press("Tab")
    expect(head(page, "Weights").get_by_role("button")).to_be_focused()
    expect(tip).to_be_in_viewport(ratio=1)


@pytest.mark.parametrize("page", [(390, "light")], indirect=True)
def test_a_tap_explains_and_sorts(page: Page) -> None:
    head(page, "PSNR Y, dB").get_by_role("button").tap()
    expect(page.get_by_role("tooltip")).to_have_text(find_metric("psnr_y").about)
    assert order(page) == NAMES
    page.locator(".claims h2").first.tap()
    expect(page.get_by_role("tooltip")).not_to_be_visible()


@pytest.mark.parametrize("page", [(390, "light")], indirect=True)
def test_at_390_px_the_table_scrolls_inside_itself(page: Page) -> None:
    region = page.get_by_role("region", name="All models, means over 8 images")
    name = region.get_by_role("rowheader", name="Bicubic")
    region.evaluate("each => each.scrollTo(400, 0)")
    assert region.evaluate("each => each.scrollLeft") == 400
    inside, around = name.bounding_box(), region.bounding_box()
    assert inside is not None and around is not None
    assert inside["x"] == pytest.approx(around["x"], abs=2), "the name stays in sight"


def test_details_are_closed_at_first(page: Page) -> None:
    pairs = page.get_by_role("region", name="PSNR Y: Real-ESRGAN general against each of the others")
    expect(pairs).not_to_be_visible()
    page.get_by_text("Is the difference significant?").click()
    expect(pairs).to_be_visible()
    pairs.get_by_role("columnheader", name="p", exact=True).get_by_role("button").click()
    expect(pairs.locator("[aria-sort=descending]")).to_have_count(1)
    expect(page.locator("[aria-sort]")).to_have_count(1)


def test_every_width_in_light_and_dark(page: Page) -> None:
    """Nothing overflows, plots are legible, axe-core finds nothing serious, with everything open and explained."""
    page.get_by_text("Is the difference significant?").click()
    page.get_by_text("Image by image").click()
    head(page, "PSNR Y, dB").hover()
    expect(page.get_by_role("tooltip")).to_be_visible()
    for width in (390, 1280):
        page.set_viewport_size({"width": width, "height": 844})
        heights = page.locator(".plot text").evaluate_all("all => all.map(each => each.getBoundingClientRect().height)")
        assert min(heights) >= 11
    check_state(page, "with everything open")


def test_without_an_original_nothing_was_shrunk() -> None:
    html = whole([row("bicubic", consistency_psnr=41.0)], "no-original", "bicubic")
    assert "hrunk by" not in html and "Consistency by antialiased bicubic." in html
