"""The environment: what is read from it, and one sentence for each value that cannot be."""

from pathlib import Path

import pytest

from pipelines import settings
from pipelines.errors import BadSetting

WHOLE = {"PORT": (settings.port, 65_535), "UPSCALE_MAX_QUEUE": (settings.queue_length, 1_000_000)}


def test_nothing_needs_to_be_set() -> None:
    assert (settings.port(), settings.queue_length(), settings.weights_dir()) == (7860, 16, None)
    assert settings.limits() == settings.Limits(50_000_000, 128_000_000, 50_000_000)


@pytest.mark.parametrize("name", WHOLE)
def test_whole_numbers(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    read, most = WHOLE[name]
    for value in (1, most):
        monkeypatch.setenv(name, str(value))
        assert read() == value
    for text in ("0", "-1", "0.5", "1e3", "many", "inf", str(most + 1), "9" * 5000):
        monkeypatch.setenv(name, text)
        with pytest.raises(BadSetting, match=f"^{name} must be a whole number from 1 to {most}, not '{text}'\\.$"):
            read()


@pytest.mark.parametrize("text", ["0", "-1", "nan", "inf", "1e12", "many"])
def test_limits_are_positive(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UPSCALE_MAX_INPUT_MEGAPIXELS", text)
    with pytest.raises(BadSetting, match=f"^UPSCALE_MAX_INPUT_MEGAPIXELS must be a positive number, not '{text}'\\.$"):
        settings.limits()


def test_weights_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("UPSCALE_WEIGHTS_DIR", "~/weights")
    with pytest.raises(BadSetting, match=r"^UPSCALE_WEIGHTS_DIR must be a folder, which '~/weights' is not\.$"):
        settings.weights_dir()
    (tmp_path / "weights").mkdir()
    assert settings.weights_dir() == tmp_path / "weights"


@pytest.mark.parametrize(
    ("text", "reason"),
    [("~no-such-user/weights", ": there is no such user"), ("x" * 300, r" \(File name too long\)")],
)
def test_what_cannot_be_a_folder(text: str, reason: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UPSCALE_WEIGHTS_DIR", text)
    with pytest.raises(BadSetting, match=f"^UPSCALE_WEIGHTS_DIR cannot be '{text}'{reason}\\.$"):
        settings.weights_dir()
