"""The documents say what the catalog says, and every link in them leads somewhere."""

import re
from pathlib import Path

import pytest

from pipelines.catalog.rows import MODELS
from pipelines.catalog.schema import Model

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
EXTENDING = (ROOT / "docs" / "extending.md").read_text()
MODELS_PAGE = (ROOT / "docs" / "models.md").read_text()
PAGES = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")] + sorted(
    (ROOT / "docs").glob("*.md")
)


def line(model: Model) -> str:
    """The model's line in the table of docs/models.md."""
    scales = " ".join(f"x{scale}" for scale in model.scales)
    sizes = [model.download(scale) / 1e6 for scale, weights in model.scales.items() if weights]
    unit, of = ("GB", 1000) if sizes and min(sizes) > 1000 else ("MB", 1)
    digits = ".0f" if 100 < max(sizes, default=0) < 1000 else ".2g"
    each = " to ".join(dict.fromkeys(f"{size / of:{digits}}" for size in sorted(sizes)[:: max(1, len(sizes) - 1)]))
    download = f"{each} {unit}" if sizes else "none"
    if any(weights and weights.bundled for weights in model.scales.values()):
        download = "included"
    use = "yes" if model.commercial else "no"
    return f"| `{model.key}` | {model.name} | {scales} | {download} | {model.licence} | {use} |"


def test_the_table_of_models_is_the_catalog() -> None:
    expected = "\n".join(line(model) for model in MODELS)
    assert expected in MODELS_PAGE, f"the table should read:\n{expected}"
    assert MODELS_PAGE.count("\n| `") == len(MODELS)


def test_the_readme_is_for_strangers() -> None:
    """Short enough to be read, with a picture, the two commands, and an example of each way to use it."""
    assert len(README.splitlines()) <= 120
    for part in ("<img", "make demo", "make test", "upscale-bench upscale", "pipelines.upscale(", "client.predict("):
        assert part in README, part


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    text = page.read_text()
    links = re.findall(r"\]\((?!https?:|#)([^)#]+)", text) + re.findall(r'(?:src|href)="(?!https?:)([^"]+)"', text)
    assert [link for link in links if not (page.parent / link).exists()] == []


def anchors(page: Path) -> set[str]:
    """What a link may name after "#": the page's headings, as GitHub writes them."""
    headings = re.findall(r"^#+ (.+)$", re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.DOTALL | re.M), re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_anchors_are_headings(page: Path) -> None:
    links = re.findall(r"\]\((?!https?:)([^)#]*)#([^)]+)\)", page.read_text())
    assert [link for link in links if link[1] not in anchors(page.parent / link[0] if link[0] else page)] == []


@pytest.mark.parametrize("recipe", re.split(r"^## ", EXTENDING, flags=re.MULTILINE)[1:], ids=lambda text: text[:24])
def test_a_recipe_is_short(recipe: str) -> None:
    prose = re.sub(r"^ *```.*?^ *```$", "", recipe, flags=re.DOTALL | re.MULTILINE).splitlines()[1:]
    assert 0 < len([line for line in prose if line.strip()]) <= 15


def test_there_is_a_recipe_for_whatever_is_added_often() -> None:
    titles = set(re.findall(r"^## An? (.*)$", EXTENDING, re.MULTILINE))
    assert titles == {
        "architecture",
        "diffusion model",
        "metric with a reference",
        "metric without a reference",
        "protocol",
        "download source",
        "file format",
        "setting",
        "tab",
    }
