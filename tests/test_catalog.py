"""The rows are sound, and importing them costs nothing."""

import re
import subprocess
import sys

import pytest

from pipelines import catalog
from pipelines.catalog import METRICS, MODELS, SCALES, Hub, Url
from pipelines.errors import BadSetting


def test_founding_models_and_scales() -> None:
    scales = {model.key: tuple(model.scales) for model in MODELS}
    assert scales == {
        **dict.fromkeys(("nearest", "bilinear", "bicubic", "lanczos"), (2, 3, 4, 8)),
        **dict.fromkeys(("edsr", "espcn", "fsrcnn", "fsrcnn-small"), (2, 3, 4)),
        "lapsrn": (2, 4, 8),
    }


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.key)
def test_every_file_is_pinned(model: catalog.Model) -> None:
    for scale, weights in model.scales.items():
        assert scale in SCALES
        for file in weights.files if weights else ():
            hashes = [file.sha256, file.git_blob, file.sha256_prefix]
            assert sum(each is not None for each in hashes) == 1 and file.pin != "unpinned"
            assert re.fullmatch(r"[0-9a-f]{64}", file.sha256 or "0" * 64)
            assert re.fullmatch(r"[0-9a-f]{40}", file.git_blob or "0" * 40)
            assert f"x{scale}" in file.name and file.size > 0
        for source in weights.sources if weights else ():
            match source:
                case Hub(_, revision):
                    assert re.fullmatch(r"[0-9a-f]{40}", revision or "")
                case Url(base):
                    assert re.search(r"/[0-9a-f]{40}$", base)


@pytest.mark.parametrize("key", METRICS)
def test_what_a_metric_needs_is_pinned(key: str) -> None:
    for label, weights in catalog.needed_by(key).items():
        assert label.startswith(f"{key} ")
        assert all(file.pin != "unpinned" and file.size > 0 for file in weights.files)


def test_keys_are_unique() -> None:
    assert len({*METRICS, *(model.key for model in MODELS)}) == len(MODELS) + len(METRICS)


def test_an_unknown_key_is_named_with_its_neighbour() -> None:
    with pytest.raises(BadSetting, match=r"There is no model 'bicubik'; did you mean bicubic\?"):
        catalog.find("bicubik")


def test_a_scale_that_is_not_there() -> None:
    with pytest.raises(BadSetting, match=r"ESPCN has no scale x8; it has x2, x3, x4\."):
        catalog.weights_for(catalog.find("espcn"), 8)


def test_importing_the_catalog_loads_no_library() -> None:
    code = "import sys; had = set(sys.modules); import pipelines.catalog; print(*(set(sys.modules) - had))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert {name.partition(".")[0] for name in loaded} <= {"pipelines", *sys.stdlib_module_names}
