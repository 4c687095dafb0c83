"""The container: what its files say, and each step of the Dockerfile run in a clean folder."""

import re
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.pipelines.test_environment import TOLD
from tools import container

ROOT = Path(__file__).parents[2]
STEPS = [*container.read_steps((ROOT / "Dockerfile").read_text())]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]["upscale-bench"]


def given(word: str) -> list[str]:
    return [text for step, text in STEPS if step == word]


def test_the_files_of_the_image_are_enough(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """They are copied as the Dockerfile says; the page opens with its settings, is healthy, and ends in time."""
    made = container.try_image(tmp_path / "image", packages_of=sys.executable)
    assert capfd.readouterr().out.splitlines()[-2:] == ["healthy", "stopped"]
    assert made.user == "upscale" and not (made.files / "tests").exists() and not [*made.files.rglob("*.pyc")]


def test_it_runs_as_somebody_who_owns_the_volume_alone() -> None:
    [about] = [text for text in given("RUN") if "useradd" in text]
    assert "--uid 1000" in about and "install --directory --owner=upscale --group=upscale /data" in about
    assert STEPS.index(("USER", "upscale")) > max(at for at, (word, _) in enumerate(STEPS) if word == "RUN")
    assert given("VOLUME") == ["/data"] and [*COMPOSE["volumes"]] == ["data:/data"]
    written = dict(each.split("=", 1) for each in given("ENV")[-1].split())
    for name in ("HF_HOME", "GRADIO_TEMP_DIR", "TMPDIR", "UPSCALE_SHARE_DIR"):
        assert written[name].startswith("/data/"), name
    assert COMPOSE["read_only"] and COMPOSE["cap_drop"] == ["ALL"]


def test_it_is_reached_from_this_machine_alone_unless_asked() -> None:
    assert COMPOSE["ports"] == ["127.0.0.1:${PORT:-7860}:7860"]
    assert set(COMPOSE["environment"]) <= {*TOLD, "HF_TOKEN"}, "settings that are told in docs/deploy.md"


def test_only_what_is_copied_is_sent_to_the_builder() -> None:
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    sent = {line[1:] for line in lines if line.startswith("!")}
    copied = {name for text in given("COPY") for name in text.split()[:-1]}
    covered = {name for name in copied if name in sent or name.split("/")[0] in sent}
    assert lines[1] == "*" and copied - covered == {name for name in copied if re.match(r"requirements.*\.txt", name)}


def test_the_gpu_file_changes_the_build_and_asks_for_the_gpu() -> None:
    gpu = yaml.safe_load((ROOT / "compose.gpu.yaml").read_text())["services"]["upscale-bench"]
    assert gpu["build"]["args"] == {"TORCH": "default"}
    [device] = gpu["deploy"]["resources"]["reservations"]["devices"]
    assert device["capabilities"] == ["gpu"]


def test_a_step_that_fails_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(container, "ROOT", tmp_path)
    (tmp_path / "Dockerfile").write_text("FROM x\nCOPY gone.py ./\n")
    assert container.main([str(tmp_path / "image"), "--packages-of", sys.executable]) == 1
    (tmp_path / "Dockerfile").write_text("FROM x\nADD a b\n")
    with pytest.raises(container.StepFailed, match="ADD is a step"):
        container.try_image(tmp_path / "other", sys.executable)
