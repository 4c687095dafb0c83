"""The environment: read in one place, told in docs/deploy.md, one sentence for each value that cannot be."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from pipelines import environment
from pipelines.errors import BadSetting

ROOT = Path(__file__).parents[2]
SOURCE = Path(environment.__file__).read_text()
TOLD = dict(re.findall(r"^\| `([A-Z_]+)` .* (\S+) \|$", (ROOT / "docs" / "deploy.md").read_text(), re.MULTILINE))


def test_every_environment_variable_is_told() -> None:
    assert set(TOLD) == set(re.findall(r'(?:get|setdefault|_positive|_whole|_switch|_allowance)\("([A-Z_]+)"', SOURCE))


def test_the_defaults_told_are_those_that_hold() -> None:
    defaults = dict(re.findall(r'(?:_positive|_whole)\("([A-Z_]+)", (\d+)[,)]', SOURCE))
    words = {
        "GRADIO_SERVER_NAME": "127.0.0.1",
        "UPSCALE_DEBUG": "0",
        "UPSCALE_MCP": "0",
        "UPSCALE_OPENMODELDB": "https://openmodeldb.info",
        "UPSCALE_PRELOAD": "real-esrgan-general:4,niqe",
        "UPSCALE_PRECISION": "auto",
        "OMP_WAIT_POLICY": "PASSIVE",
        "ONEDNN_MAX_CPU_ISA": "all",
        "ONEDNN_PRIMITIVE_CACHE_CAPACITY": "64",
    }
    assert {name: default for name, default in TOLD.items() if default != "none"} == defaults | words


def test_settings_are_read_nowhere_else() -> None:
    for path in [*(ROOT / "pipelines").rglob("*.py"), *(ROOT / "ui").rglob("*.py")]:
        assert path.name == "environment.py" or not re.search(
            r"environ\b|getenv|UPSCALE_[A-Z_]+\"", path.read_text()
        ), path


WHOLE = {
    "PORT": (environment.port, 65_535),
    "UPSCALE_MAX_QUEUE": (environment.queue_length, 1_000_000),
    "UPSCALE_MAX_PICTURES": (environment.most_pictures, 1_000),
}


def test_nothing_needs_to_be_set() -> None:
    assert (environment.port(), environment.queue_length(), environment.weights_dir()) == (7860, 16, None)
    assert environment.limits() == environment.Limits(50_000_000, 128_000_000, 50_000_000)
    assert environment.cpu_instructions() == "ALL"
    assert environment.most_model_bytes() == 256_000_000 and environment.most_kept_bytes() == 2_000_000_000
    assert not environment.exact()
    assert environment.preloaded() == ()


def test_precision_is_one_of_two(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UPSCALE_PRECISION", "exact")
    assert environment.exact()
    monkeypatch.setenv("UPSCALE_PRECISION", "half")
    with pytest.raises(BadSetting, match=r"^UPSCALE_PRECISION must be auto or exact, not 'half'\.$"):
        environment.exact()


def test_debug_is_on_or_off(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not environment.debug()
    monkeypatch.setenv("UPSCALE_DEBUG", "1")
    assert environment.debug()
    monkeypatch.setenv("UPSCALE_DEBUG", "yes")
    with pytest.raises(BadSetting, match=r"^UPSCALE_DEBUG must be 0 or 1, not 'yes'\.$"):
        environment.debug()


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


def test_what_a_visitor_may_have_is_limited_where_it_is_set_or_on_a_space(monkeypatch: pytest.MonkeyPatch) -> None:
    def allowed() -> tuple[int | None, int | None]:
        return environment.most_runs(), environment.most_downloads()

    assert allowed() == (None, None)
    monkeypatch.setenv("SPACE_ID", "somebody/space")
    assert allowed() == (60, 10)
    monkeypatch.setenv("UPSCALE_MAX_RUNS_PER_HOUR", "0")
    monkeypatch.setenv("UPSCALE_MAX_DOWNLOADS_PER_HOUR", "3")
    assert allowed() == (None, 3)
    monkeypatch.setenv("UPSCALE_MAX_DOWNLOADS_PER_HOUR", "-3")
    with pytest.raises(BadSetting, match=r"^UPSCALE_MAX_DOWNLOADS_PER_HOUR must be a whole number from 1 to"):
        allowed()


@pytest.mark.parametrize("text", ["0", "-1", "nan", "inf", "1e12", "many"])
def test_limits_are_positive(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UPSCALE_MAX_INPUT_MEGAPIXELS", text)
    with pytest.raises(BadSetting, match=f"^UPSCALE_MAX_INPUT_MEGAPIXELS must be a positive number, not '{text}'\\.$"):
        environment.limits()


def test_weights_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("UPSCALE_WEIGHTS_DIR", "~/weights")
    with pytest.raises(BadSetting, match=r"^UPSCALE_WEIGHTS_DIR must be a folder, which '~/weights' is not\.$"):
        environment.weights_dir()
    (tmp_path / "weights").mkdir()
    assert environment.weights_dir() == tmp_path / "weights"


@pytest.mark.parametrize(
    ("text", "reason"),
    [("~no-such-user/weights", ": there is no such user"), ("x" * 300, r" \(File name too long\)")],
)
def test_what_cannot_be_a_folder(text: str, reason: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UPSCALE_WEIGHTS_DIR", text)
    with pytest.raises(BadSetting, match=f"^UPSCALE_WEIGHTS_DIR cannot be '{text}'{reason}\\.$"):
        environment.weights_dir()


@pytest.mark.parametrize(
    ("given", "path"),
    [
        ("", ""),
        ("upscale", "/upscale"),
        ("/upscale", "/upscale"),
        (" a/b ", "/a/b"),
        ("https://example.org/x", "https://example.org/x"),
    ],
)
def test_a_path_begins_with_a_slash(given: str, path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRADIO_ROOT_PATH", given)
    assert environment.root_path() == path


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("", "127.0.0.1,localhost,::1,page.local"),
        ("example.org,localhost", "example.org,localhost,127.0.0.1,::1,page.local"),
        ("*", "*"),
    ],
)
def test_no_proxy_stands_between_the_page_and_its_machine(
    before: str, after: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.setenv("NO_PROXY", before)
    monkeypatch.setenv("no_proxy", before)
    monkeypatch.setenv("GRADIO_SERVER_NAME", "page.local")
    environment.reach_this_machine_directly()
    assert os.environ["NO_PROXY"] == os.environ["no_proxy"] == after


@pytest.mark.parametrize(
    ("before", "space", "after"),
    [
        ("", "", "127.0.0.1,::1,::ffff:127.0.0.1,page.local"),
        ("10.0.0.5, 10.1.0.0/16", "", "10.0.0.5,10.1.0.0/16,127.0.0.1,::1,::ffff:127.0.0.1,page.local"),
        ("10.0.0.5", "a/b", "10.0.0.5,127.0.0.1,::1,::ffff:127.0.0.1,page.local"),
        ("*", "a/b", "*"),
        ("", "a/b", f"{environment.PRIVATE_NETWORKS},127.0.0.1,::1,::ffff:127.0.0.1,page.local"),
    ],
)
def test_which_proxies_are_believed(before: str, space: str, after: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORWARDED_ALLOW_IPS", before)
    monkeypatch.setenv("SPACE_ID", space)
    monkeypatch.setenv("GRADIO_SERVER_NAME", "page.local")
    environment.trust_proxies()
    assert os.environ["FORWARDED_ALLOW_IPS"] == after
    environment.trust_proxies()
    assert os.environ["FORWARDED_ALLOW_IPS"] == after


def test_threads_sleep_while_they_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the user chose stays. The command line does so before torch is imported, which reads it once."""
    monkeypatch.setenv("OMP_WAIT_POLICY", "ACTIVE")
    environment.let_threads_sleep()
    assert os.environ["OMP_WAIT_POLICY"] == "ACTIVE"
    monkeypatch.delenv("OMP_WAIT_POLICY")
    code = "import os, sys\nfrom pipelines.cli.main import run\ntry:\n    run()\nexcept SystemExit:\n"
    code += "    print(os.environ['OMP_WAIT_POLICY'], 'torch' in sys.modules, file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", code, "models"], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stderr == "PASSIVE False\n"


def test_the_package_lets_threads_sleep_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    """It does so before its functions import torch; a program that only imports the package keeps its own ways."""
    monkeypatch.delenv("OMP_WAIT_POLICY", raising=False)
    code = "import os, sys, pipelines\nprint(os.environ.get('OMP_WAIT_POLICY'))\n"
    code += "class Hook:\n    def find_spec(self, name, *rest):\n        if name == 'torch':\n"
    code += "            print(os.environ.get('OMP_WAIT_POLICY'))\n            raise SystemExit\n"
    code += "sys.meta_path.insert(0, Hook())\n"
    for call in ("upscale('ui/pictures/building.png')", "benchmark('ui/pictures/building.png', models='swift')"):
        done = subprocess.run(
            [sys.executable, "-c", f"{code}pipelines.{call}"], cwd=ROOT, capture_output=True, text=True, check=True
        )
        assert done.stdout == "None\nPASSIVE\n"
