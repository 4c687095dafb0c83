"""What cleans up first: the key of an x1 model, or a strength for the one that takes it."""

from dataclasses import replace

import pytest

from pipelines.catalog import rows as catalog
from pipelines.catalog.rows import Cleanup, Settings, Size, Stage
from pipelines.errors import BadSetting
from pipelines.estimates import plan_size

CLEANER = catalog.find("cleaner")
PLAIN = replace(CLEANER, key="plain", name="Plain", takes=frozenset())


@pytest.fixture
def cleaners(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catalog, "MODELS", (PLAIN, *catalog.MODELS))


@pytest.mark.parametrize("given", [None, "", "none", " none "])
def test_nothing_cleans_up_unasked(given: str | None) -> None:
    assert catalog.parse_cleanup(given) == Cleanup() == ((), None)


@pytest.mark.usefixtures("cleaners")
def test_the_rows_say_what_there_is() -> None:
    """A strength is for the first that takes one, and auto leaves it to that; others run by their keys."""
    stage = Stage("cleaner", 1)
    assert catalog.find_cleaner() == CLEANER
    assert catalog.parse_cleanup("auto") == catalog.parse_cleanup("cleaner") == Cleanup((stage,))
    assert catalog.parse_cleanup(0.25) == catalog.parse_cleanup("0.25") == Cleanup((stage,), 0.25)
    assert catalog.parse_cleanup("0") == Cleanup((stage,), 0.0)
    assert catalog.parse_cleanup("plain") == Cleanup((Stage("plain", 1),))
    catalog.check_stages([stage, Stage("swift", 4)], Settings(cleanup=0.25))
    with pytest.raises(BadSetting, match=r"Swift cannot use the setting cleanup\."):
        catalog.check_stages([Stage("swift", 4)], Settings(cleanup=0.25))


@pytest.mark.usefixtures("cleaners")
@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("1.5", r"The strength of the clean-up is a number from 0 to 1, not 1\.5\."),
        ("-1", "is a number from 0 to 1, not -1"),
        ("nan", "is a number from 0 to 1, not nan"),
        ("swift", r"Swift upscales by 2: only an x1 model can clean up first\."),
        ("clean", r"There is no model 'clean'; did you mean cleaner\?"),
        (True, "There is no model 'True'"),
        ("omdb/", "names no model of OpenModelDB"),
    ],
)
def test_what_cannot_clean_up_is_said(given: object, said: str) -> None:
    with pytest.raises(BadSetting, match=said):
        catalog.parse_cleanup(given)


@pytest.mark.usefixtures("cleaners")
def test_a_size_counts_what_upscales_alone() -> None:
    sized = plan_size("bicubic", Size(factor=16), 10, 20, (Stage("cleaner", 1),))
    assert sized.stages == (Stage("cleaner", 1), Stage("bicubic", 4), Stage("bicubic", 4))
    assert (sized.made, sized.size) == ((160, 320), (160, 320))
    assert sized.notes == (
        "cleaned up first by Cleaner",
        "Bicubic has no scale this large, so it runs twice: x4, then x4",
    )
    with pytest.raises(BadSetting, match="Cleaner does not upscale: it cleans an image up"):
        plan_size("cleaner", Size(factor=2), 10, 20)
