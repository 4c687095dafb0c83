"""The right contenders take part, and what does not fit is said."""

from pathlib import Path

import pytest

from pipelines.catalog import rows as catalog
from pipelines.catalog.rows import Stage
from pipelines.errors import BadSetting
from pipelines.measuring.contenders import Contender, list_ready, resolve_contenders


def test_all_is_every_model_of_that_scale() -> None:
    """But those of diffusion, which nobody is to run unasked."""
    for scale in (3, 4):
        found = resolve_contenders("round-trip", scale, ["all"], [])
        quick = [model.key for model in catalog.MODELS if scale in model.scales and not model.diffusion]
        assert [each.key for each in found] == quick
    assert resolve_contenders("round-trip", 4, ["sd-x4"], []) == (Contender((Stage("sd-x4", 4),)),)


def test_who_takes_part_where_nobody_is_named() -> None:
    """Those that need no download; beside chains none, unless the protocol is about chains."""
    chains = [[Stage("bicubic", 4), Stage("bicubic", 2)]]
    ready = ["nearest", "bilinear", "bicubic", "lanczos"]
    for protocol, named, default in (
        ("round-trip", [], ready),
        ("round-trip", chains, []),
        ("chained-8x", chains, ready),
        ("no-original", chains, []),
    ):
        assert resolve_contenders(protocol, 8, None, named) == resolve_contenders(protocol, 8, default, named)


def test_who_is_ready_has_its_files_here(own_weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is included, and what the user's own folder holds; nothing that would have to look into a lost folder."""
    included = ["nearest", "bilinear", "bicubic", "lanczos", "swift", "srcnn"]
    assert set(included) < set(list_ready(4))
    assert "espcn" in list_ready(4) and not {"edsr", "real-esrgan", "sd-x4"} & set(list_ready(4))
    monkeypatch.delenv("UPSCALE_WEIGHTS_DIR")
    assert list_ready(4) == included
    monkeypatch.setenv("UPSCALE_WEIGHTS_DIR", str(own_weights / "gone"))
    assert list_ready(4) == included[:4], "what is asked for by name tells of the folder"


def test_nobody_takes_part_twice() -> None:
    chain = [("lapsrn", 2), ("lapsrn", 2)]
    found = resolve_contenders("round-trip", 4, ["bicubic", "all", "bicubic"], [chain, chain])
    assert len(found) == len(set(found)) and found[0] == Contender((Stage("bicubic", 4),))
    assert found[-1].key == "lapsrn:2,lapsrn:2" and found[-1].scale == 4


def test_chained_has_bicubic_beside_it() -> None:
    found = resolve_contenders("chained-8x", 8, ["lapsrn"], [[("espcn", 4), ("lapsrn", 2)]])
    assert [each.key for each in found] == ["bicubic", "lapsrn", "espcn:4,lapsrn:2"]
    assert {each.scale for each in found} == {8}


@pytest.mark.parametrize(
    ("protocol", "scale", "models", "chains", "words"),
    [
        ("there-and-back", 2, ["bicubic"], [], "no protocol 'there-and-back'"),
        ("round-trip", 5, ["bicubic"], [], "not by 5"),
        ("round-trip", 2, [], [], "at least one model"),
        ("round-trip", 2, ["bicubik"], [], "did you mean bicubic"),
        ("round-trip", 3, ["lapsrn"], [], "LapSRN has no scale x3"),
        ("round-trip", 4, [], [[("lapsrn", 2), ("lapsrn", 4)]], "upscales by 8, not by 4"),
        ("chained-8x", 4, ["bicubic"], [[("lapsrn", 4)]], "by 8, not by 4"),
        ("chained-8x", 8, ["bicubic"], [], "needs a chain"),
        ("chained-8x", 8, ["bicubic"], [[("lapsrn", 2), ("lapsrn", 4)]], "not an x4 and then an x2"),
        ("chained-8x", 8, ["bicubic"], [[("lapsrn", 4), ("espcn", 3)]], "not an x4 and then an x2"),
    ],
)
def test_what_does_not_fit_is_said(
    protocol: str, scale: int, models: list[str], chains: list[list[tuple[str, int]]], words: str
) -> None:
    with pytest.raises(BadSetting, match=words):
        resolve_contenders(protocol, scale, models, chains)
