"""What the page offers: nothing that could only be refused."""

from dataclasses import replace
from pathlib import Path

import pytest

from pipelines.catalog import rows as catalog
from ui.jobs import line_up
from ui.jobs.offered import list_offered
from ui.widgets import chain_choice

LDM = catalog.find("ldm-x4")
NEEDED = catalog.weights_for(LDM, 4)
assert NEEDED is not None
UPSCALING = {row.key for row in catalog.MODELS if not row.cleans}
NOBODY = replace(LDM, scales={4: replace(NEEDED, sources=())})


@pytest.fixture(autouse=True)
def _nobody_offers_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """A model whose files nobody can be asked for."""
    monkeypatch.setattr(catalog, "MODELS", tuple(NOBODY if row.key == NOBODY.key else row for row in catalog.MODELS))


def keys(scale: int | None = None) -> set[str]:
    return {row.key for row in list_offered(scale)}


def test_what_nobody_can_be_asked_for_is_left_out() -> None:
    assert UPSCALING - keys() == {"ldm-x4"}
    assert "ldm-x4" not in keys(4)


def test_what_is_in_ones_own_folder_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    needed = catalog.find("ldm-x4").scales[4]
    assert needed is not None
    for file in needed.files:
        path = tmp_path / "ldm-x4" / file.path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f'{{"_class_name": "{needed.pipeline}"}}')
    monkeypatch.setenv("UPSCALE_WEIGHTS_DIR", str(tmp_path))
    assert keys() == UPSCALING and "ldm-x4" not in keys(2)


def test_a_folder_that_cannot_be_read_takes_nothing_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UPSCALE_WEIGHTS_DIR", "/dev/null/nowhere")
    assert keys() >= UPSCALING - {"ldm-x4"}


def test_lists_of_the_page_are_of_what_is_offered() -> None:
    assert {key for _, key in chain_choice.model_choices(4)} == keys(4)
    assert {key for _, key in line_up.model_choices("round-trip", "x4").choices} == keys(4)
