"""A licence that must be accepted: by the owner, or by who asks; and before anything is downloaded."""

from dataclasses import replace
from typing import Any

import pytest

from pipelines import environment
from pipelines.catalog import rows as catalog
from pipelines.catalog.rows import Settings, Stage, check_accepted, check_settings, find
from pipelines.errors import BadSetting
from pipelines.measuring.contenders import list_ready, resolve_contenders
from pipelines.measuring.fetching import fetch_weights
from pipelines.runs import finish
from pipelines.upscalers import loading
from ui.jobs import prefetching

SAID = (
    "SUPIR is not for commercial use, and its licence must be accepted first: tick the box on the page, or use "
    "--accept-licence, accept_licence=True or UPSCALE_ACCEPT=supir."
)


@pytest.fixture(autouse=True)
def asked(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What is asked of sources, which have nothing."""
    all_asked: list[Any] = []

    def ask(weights: Any) -> Any:
        all_asked.append(weights)
        raise AssertionError(f"asked for {weights}")

    monkeypatch.delenv("UPSCALE_ACCEPT", raising=False)
    monkeypatch.setattr(loading.store, "fetch", ask)
    monkeypatch.setattr(prefetching, "fetch", ask)
    return all_asked


def refused(models: list[catalog.Model], settings: Settings) -> str:
    with pytest.raises(BadSetting) as raised:
        check_settings(models, settings)
    return str(raised.value)


def test_who_asks_accepts_it_or_the_owner_does(monkeypatch: pytest.MonkeyPatch) -> None:
    supir = find("supir")
    for settings in (Settings(), Settings(accept_licence=False)):
        assert refused([supir], settings) == SAID
    check_settings([supir], Settings(accept_licence=True))
    monkeypatch.setenv("UPSCALE_ACCEPT", "another")
    assert refused([find("supir-f")], Settings()) == SAID.replace("SUPIR is", "SUPIR F is")
    monkeypatch.setenv("UPSCALE_ACCEPT", "another, supir")
    check_settings([supir, find("supir-f")], Settings())
    assert environment.accepted_licences() == {"another", "supir"}


def test_another_model_with_terms_needs_its_row_alone() -> None:
    row = replace(find("bicubic"), terms="bicubic", terms_url="https://example.org/terms", takes=find("supir").takes)
    assert refused([row], Settings()).startswith("The licence of Bicubic must be accepted first: tick the box on")
    check_settings([row], Settings(accept_licence=True))


def test_every_such_row_says_where_its_licence_is() -> None:
    wanted = [row for row in catalog.MODELS if row.terms]
    assert {row.terms_url for row in wanted} == {"https://github.com/Fanghua-Yu/SUPIR/blob/master/LICENSE"}
    assert all("accept_licence" in row.takes for row in wanted)


def test_a_comparison_accepts_for_all_that_take_part(asked: list[Any]) -> None:
    """Chains too, which would else be refused; others are measured as ever."""
    chain = [Stage("supir", 4), Stage("bicubic", 2)]
    with pytest.raises(BadSetting, match=r"^SUPIR is not for commercial use"):
        resolve_contenders("chained-8x", 8, [], [chain])
    plain, chained = resolve_contenders("chained-8x", 8, [], [chain], accepted=True)
    assert chained.settings.accept_licence is True and plain.settings == Settings()
    assert asked == []
    finish(fetch_weights([plain, chained]))
    assert len(asked) == 1 and asked[0].files[0].path.startswith("SUPIR-v0Q"), "by then it is to be downloaded"


def test_all_others_ask_for_nothing() -> None:
    check_accepted([row for row in catalog.MODELS if row.key not in ("supir", "supir-f")], Settings())
    assert frozenset({"supir"}) == catalog.LICENCES
    assert refused([find("bicubic")], Settings(accept_licence=True)) == (
        "Bicubic cannot use the setting accept licence."
    )


def test_nothing_is_downloaded_without() -> None:
    """Not for a run, nor for a comparison, whose row says why, nor when the page opens."""
    with pytest.raises(BadSetting, match="must be accepted first"):
        finish(loading.fetch([Stage("bicubic", 2), Stage("supir", 4)], Settings()))
    with pytest.raises(BadSetting, match="must be accepted first"):
        loading.load("supir", 4)
    (contender,) = resolve_contenders("round-trip", 4, ["supir"], [])
    assert finish(fetch_weights([contender]))[contender].failure == SAID
    with pytest.raises(BadSetting, match=r"^UPSCALE_PRELOAD: SUPIR is not for commercial use"):
        prefetching.list_stages(["supir:4"])


def test_it_is_never_a_default() -> None:
    keys = [*list_ready(4), *(each.key for each in resolve_contenders("round-trip", 4, ["all"], []))]
    assert not [key for key in keys if key.startswith("supir")]
