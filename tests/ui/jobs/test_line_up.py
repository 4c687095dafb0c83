"""Who can take part in a comparison, and who does unasked."""

from pathlib import Path

import pytest

from pipelines.measuring.run import OFFERED_KERNELS
from tests.conftest import tiny_networks
from ui.jobs.line_up import kernel_choices, model_choices
from ui.widgets import chain_choice


def test_what_is_quick_and_tells_something_takes_part_unasked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where its files are here: neither a download nor a model that takes minutes is started by one click."""
    monkeypatch.setenv("UPSCALE_WEIGHTS_DIR", str(tmp_path))
    line_up = model_choices("round-trip", "x4")
    offered, ticked = line_up.choices, line_up.ticked
    assert ticked == ["bicubic", "lanczos", "swift", "srcnn"]
    assert ("Real-ESRGAN · 67 MB", "real-esrgan") in offered
    downloads = [" · " in label for label, _ in offered]
    assert downloads == sorted(downloads) and any(downloads), "what is ready comes first"
    assert not any(" · " in label for label, _ in line_up.shorten([]))
    assert [label for label, _ in line_up.shorten(["real-esrgan"]) if " · " in label] == ["Real-ESRGAN · 67 MB"]
    assert line_up.to_download == {key for label, key in offered if " · " in label}
    tiny_networks(tmp_path)
    for name in ("RealESRGAN_x8.pth", "realesr-general-x4v3.pth", "LapSRN_x4.pb"):
        (tmp_path / name).write_bytes(b"a network")
    offered, ticked, _ = model_choices("round-trip", "x4")
    assert {"LapSRN", "Nearest neighbour"} <= {label for label, _ in offered}
    assert sorted(ticked) == ["bicubic", "espcn", "lanczos", "real-esrgan-general", "srcnn", "swift"]
    assert model_choices("chained-8x", "x4").ticked == ["bicubic", "lanczos"]
    assert chain_choice.list_direct_models() == []


def test_kernels_are_offered_in_plain_words() -> None:
    offered = {kernel: label for label, kernel in kernel_choices()}
    assert [*offered] == [*OFFERED_KERNELS] and not {*offered} & {*offered.values()}
    assert offered["bicubic+jpeg75"] == "Bicubic, then saved as JPEG 75"
