"""Stages: a model at a scale, as one writes it and as one looks it up."""

import pytest

from pipelines.catalog import rows as catalog
from pipelines.catalog.rows import Stage, parse_stages
from pipelines.errors import BadSetting


def test_a_stage_knows_its_row_and_its_weights() -> None:
    stage = Stage("espcn", 2)
    assert stage == ("espcn", 2) and str(stage) == "espcn:2"
    assert stage.model is catalog.find("espcn") and stage.weights == stage.model.scales[2]
    assert Stage("bicubic", 8).weights is None


def test_a_chain_is_parsed_as_it_is_written() -> None:
    stages = parse_stages("lapsrn:4,o/n/a.pth:2,https://huggingface.co/o/n/blob/main/a.pth:3")
    assert stages == (Stage("lapsrn", 4), Stage("o/n/a.pth", 2), Stage("o/n/a.pth", 3))
    assert parse_stages(",".join(map(str, stages))) == stages


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", r"'' is not KEY:SCALE, such as lapsrn:4\."),
        ("lapsrn", r"'lapsrn' is not KEY:SCALE, such as lapsrn:4\."),
        ("lapsrn:4,", r"'' is not KEY:SCALE, such as lapsrn:4\."),
        ("lapsrn:5", r"'lapsrn:5' is not KEY:SCALE, such as lapsrn:4\."),
        ("lapsm:4", r"There is no model 'lapsm'; did you mean lapsrn\?"),
    ],
)
def test_what_names_no_chain_is_refused(text: str, sentence: str) -> None:
    with pytest.raises(BadSetting, match=sentence):
        parse_stages(text)


def test_a_model_or_a_scale_that_is_not_there_is_told_when_it_is_looked_up() -> None:
    [stage] = parse_stages("espcn:8")
    with pytest.raises(BadSetting, match=r"ESPCN has no scale x8; it has x2, x3, x4\."):
        _ = stage.weights
    with pytest.raises(BadSetting, match="There is no model"):
        _ = Stage("bicubik", 2).model
