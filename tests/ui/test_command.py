"""The program `upscale-bench`: the command line under its name, with the page as one command more."""

import logging
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx
import numpy as np
import pytest

from pipelines.images import door as images
from pipelines.images.picture import Picture
from tests.conftest import NOWHERE, clean_environment, free_port, serving, smooth
from tests.support.visitor import file_at, upload
from ui.jobs.listening import STOPPING

ROOT = Path(__file__).parents[2]
LIGHT = "; assert not {'torch', 'gradio', 'cv2'} & sys.modules.keys(), sys.modules.keys()"

# Has a program say whom it asks for what beyond this machine.
ASKED = """
import socket, sys
look_up, connect = socket.getaddrinfo, socket.socket.connect
def told(host):
    if str(host or "localhost") not in ("localhost", "::1", "0.0.0.0") and not str(host).startswith("127."):
        print("asked for", host, file=sys.stderr)
def check(host, *given, **options):
    told(host)
    return look_up(host, *given, **options)
def checked(self, address):
    if self.family in (socket.AF_INET, socket.AF_INET6):
        told(address[0])
    return connect(self, address)
socket.getaddrinfo, socket.socket.connect = check, checked
"""


def run(*arguments: str, after: str = "") -> subprocess.CompletedProcess[str]:
    """The program, and then a line of Python."""
    code = f"import sys; sys.argv[0] = 'upscale-bench'\nfrom ui.command import main\ntry: main()\nfinally: pass{after}"
    command = [sys.executable, "-c", code, *arguments]
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT)


def test_it_is_the_command_line_with_a_page() -> None:
    by_module = subprocess.run([sys.executable, "-m", "pipelines", "models"], capture_output=True, text=True, cwd=ROOT)
    done = run("models", after=LIGHT)
    assert (done.returncode, done.stdout, done.stderr) == (0, by_module.stdout, "")
    told = run("--help").stdout
    assert told.startswith("usage: upscale-bench ") and "page" in told


@pytest.mark.parametrize("arguments", [[], ["pages"], ["page", "7860"]], ids=" ".join)
def test_wrong_usage_is_2(arguments: list[str]) -> None:
    done = run(*arguments)
    assert done.returncode == 2 and done.stderr.count("\n") == 1 and "See upscale-bench" in done.stderr


def test_the_help_of_the_page_says_what_it_does_and_how() -> None:
    done = run("page", "--help")
    assert done.returncode == 0 and "Open the page on this machine" in done.stdout
    assert "upscale-bench page --debug" in done.stdout.partition("examples:")[2]


@pytest.mark.parametrize("arguments", [["page"], ["page", "--debug"], ["--debug", "page"]], ids=" ".join)
def test_the_page_logs_what_is_grave_and_for_those_who_ask_everything(arguments: list[str]) -> None:
    levels = (logging.DEBUG, logging.INFO, logging.WARNING, logging.ERROR)
    code = (
        "import logging, sys\nfrom ui import command\n"
        "def serve():\n"
        f"    for level in {levels}:\n"
        "        logging.getLogger('ui.jobs.gpu').log(level, 'page %d', level)\n"
        "        logging.getLogger('pipelines.enlarge').log(level, 'core %d', level)\n"
        "command._serve = serve\ncommand.main()"
    )
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, cwd=ROOT)
    least = logging.DEBUG if "--debug" in arguments else logging.WARNING
    shown = [f"{where} {level}" for level in levels if level >= least for where in ("page", "core")]
    assert (done.returncode, done.stderr.splitlines()) == (0, shown)


@pytest.mark.slow
def test_a_failure_that_nobody_foresaw_leaves_its_traceback_in_the_log(tmp_path: Path) -> None:
    """Visitors are told no more than that it has been logged."""
    from gradio_client import Client, handle_file
    from gradio_client.exceptions import AppError

    log = tmp_path / "log.txt"
    code = (
        f"import sys; sys.stderr = open({str(log)!r}, 'w', buffering=1)\n"
        "from pipelines.upscalers import network\nnetwork.build = lambda *given: 1 / 0\n"
        "from ui.command import open_page\nsys.exit(open_page())"
    )
    with serving(tmp_path, "-c", code) as url:
        client = Client(url, verbose=False, download_files=str(tmp_path / "client"))
        image = handle_file(str(ROOT / "ui" / "pictures" / "drawing.png"))
        with pytest.raises(AppError, match="has been logged"):
            client.predict(image=image, model="espcn", scale="x2", api_name="/upscale")
    told = log.read_text()
    assert told.count("a run failed") == 1
    assert "Traceback" in told and "ZeroDivisionError: division by zero" in told


@pytest.mark.slow
def test_visitors_files_are_deleted_when_it_ends(tmp_path: Path) -> None:
    """By SIGTERM, as a service is stopped, and though a visitor is still there."""
    from gradio_client import Client, handle_file

    with serving(tmp_path, "-c", "from ui.command import open_page; raise SystemExit(open_page())") as url:
        client = Client(url, verbose=False, download_files=str(tmp_path / "client"))
        image = handle_file(str(ROOT / "ui" / "pictures" / "drawing.png"))
        client.predict(image=image, model="bicubic", scale="x2", api_name="/upscale")
        assert [*(tmp_path / "gradio").rglob("drawing*.png")]
    assert not [*(tmp_path / "gradio").rglob("drawing*.png")]


@pytest.mark.slow
def test_it_stops_in_the_middle_of_a_run_and_says_so(tmp_path: Path) -> None:
    """By SIGTERM, within ten seconds; the visitor is told, the log too, and no file is left.

    Where gradio would have its files there is something that cannot be written to, as another user's folder.
    """
    (tmp_path / "gradio").touch()
    large = images.encode(Picture(np.tile(smooth(250, 250), (10, 10, 1))))
    code = f"{ASKED}from ui.command import open_page; raise SystemExit(open_page())"
    env = clean_environment() | {"PORT": str(free_port()), "TMPDIR": str(tmp_path), "HF_HOME": str(tmp_path / "hub")}
    env |= {"HF_ENDPOINT": NOWHERE, "UPSCALE_PRELOAD": ""}
    del env["GRADIO_ANALYTICS_ENABLED"]
    url = f"http://127.0.0.1:{env['PORT']}"
    command, pipe = [sys.executable, "-u", "-c", code], subprocess.PIPE
    with subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, cwd=ROOT, env=env) as page:
        assert page.stdout is not None and page.stderr is not None
        next(line for line in page.stdout if "http://" in line)
        body = {"data": [file_at(upload(url, "large.png", large).json()[0]), "swift", "x4"]}
        event = httpx.post(f"{url}/gradio_api/call/upscale", json=body, timeout=30).json()["event_id"]
        with httpx.stream("GET", f"{url}/gradio_api/call/upscale/{event}", timeout=30) as events:
            lines = events.iter_lines()
            next(line for line in lines if "generating" in line)
            page.terminate()
            started = time.monotonic()
            told = "\n".join(lines)
        assert page.wait(timeout=10) == 0 and time.monotonic() - started < 10
        assert "event: error" in told and STOPPING in told
        told_last = page.stderr.read()
        assert "stopped with 1 runs going on" in told_last
    assert {path.name for path in tmp_path.iterdir()} - {"hub"} == {"gradio"}
    assert "asked for" not in told_last, "nobody beyond this machine was asked for anything"


@pytest.mark.slow
def test_it_opens_behind_a_proxy_and_at_a_path_without_a_slash(tmp_path: Path) -> None:
    """The proxy is a port where nobody listens: this machine is not asked for through it."""
    proxy = f"http://127.0.0.1:{free_port()}"
    settings = dict.fromkeys(("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"), proxy)
    settings |= {"NO_PROXY": "", "no_proxy": "", "GRADIO_ROOT_PATH": "upscale"}
    with serving(tmp_path, **settings) as url:
        assert httpx.get(f"{url}/config", timeout=30, trust_env=False).json()["root"].endswith("/upscale")


def open_page(*lines: str, **settings: str) -> tuple[int, str]:
    """The exit code and what is on stderr, of a page before which those lines were run."""
    code = "\n".join([*lines, "from ui.command import open_page; raise SystemExit(open_page())"])
    env = clean_environment() | settings
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, env=env)
    return done.returncode, done.stderr


def test_a_port_in_use_is_told_with_what_helps() -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        assert open_page(PORT=str(port)) == (
            1,
            f"Port {port} is in use: choose another with PORT, such as PORT=8000.\n",
        )


def test_an_address_of_another_machine_is_told() -> None:
    code, told = open_page(PORT=str(free_port()), GRADIO_SERVER_NAME="192.0.2.1")  # RFC 5737: nobody's
    assert code == 1 and told.startswith("The page cannot be opened at 192.0.2.1, port ") and told.count("\n") == 1


def test_whatever_fails_while_it_opens_is_one_line() -> None:
    failing = "import ui.command\ndef fail(): raise ValueError('no\\nway')\nui.command._serve = fail"
    assert open_page(failing) == (1, "The page cannot be opened: no way\n")
