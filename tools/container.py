"""Runs the steps of the Dockerfile in a clean folder, where Docker itself cannot run.

python -m tools.container FOLDER            every step, packages too, with a Python of its own
python -m tools.container FOLDER --packages-of PYTHON    the same with the packages that this Python has

What it proves: the files that are copied are enough, the page opens with the settings of the image, the health check
passes, and SIGTERM ends it in time. What it cannot: the base image itself, and users and volumes, which need Docker.
"""

import argparse
import json
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[1]
OPEN_SECONDS = 90
GRACE_SECONDS = 10  # as Docker and compose.yaml have it
SYSTEM = re.compile(r"\b(?:groupadd|useradd|apt-get)\b")  # what needs the image's own system


class StepFailed(Exception):
    """The message says which step, and what it said."""


@dataclass
class Container:
    """The clean folder as the steps leave it: `files` is the image's working folder, `data` its volume."""

    root: Path
    python: str
    install: bool
    env: dict[str, str] = field(default_factory=dict)
    user: str = "root"
    check: list[str] = field(default_factory=list)
    command: list[str] = field(default_factory=list)

    @property
    def files(self) -> Path:
        return self.root / "app"

    @property
    def data(self) -> Path:
        return self.root / "data"


def main(arguments: Sequence[str]) -> int:
    """Runs the steps; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tools.container", description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--packages-of", metavar="PYTHON", help="leave packages out, and take those of this Python")
    options = parser.parse_args(arguments)
    try:
        try_image(options.folder, options.packages_of)
    except StepFailed as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def try_image(folder: Path, packages_of: str | None = None) -> Container:
    """Runs every step in the folder, which must be new, then the page until it is healthy. Raises StepFailed."""
    folder.mkdir(parents=True)
    python = packages_of or _make_python(folder)
    made = Container(folder.resolve(), python, install=packages_of is None)
    made.files.mkdir()
    made.data.mkdir()
    for word, given in read_steps((ROOT / "Dockerfile").read_text()):
        print(f"{word} {given[:100]}", flush=True)
        _run_step(made, word, given)
    _run_page(made)
    return made


def read_steps(text: str) -> Iterator[tuple[str, str]]:
    """Returns the steps of a Dockerfile: each its word, and what follows it in one line."""
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    for step in re.sub(r"\\\n\s*", "", "\n".join(lines)).splitlines():
        word, _, given = step.partition(" ")
        yield word, given.strip()


def _run_step(made: Container, word: str, given: str) -> None:
    if word in ("ARG", "ENV"):
        for each in shlex.split(given):
            name, _, value = each.partition("=")
            made.env[name] = re.sub("^/data", str(made.data), value)
    elif word == "COPY":
        _copy(made, shlex.split(given))
    elif word == "RUN":
        _run(made, given)
    elif word == "USER":
        made.user = given
    elif word == "HEALTHCHECK":
        made.check = json.loads(given[given.index("CMD ") + 4 :])
    elif word == "CMD":
        made.command = json.loads(given)
    elif word not in ("FROM", "WORKDIR", "VOLUME", "EXPOSE"):
        raise StepFailed(f"{word} is a step that this script does not know.")


def _copy(made: Container, names: list[str]) -> None:
    *sources, target = names
    for name in sources:
        source, place = ROOT / name, made.files / target
        if not source.exists():
            raise StepFailed(f"COPY {name}: there is no such file.")
        if source.is_dir():
            shutil.copytree(source, place, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            place.mkdir(parents=True, exist_ok=True)
            shutil.copy(source, place)


def _run(made: Container, command: str) -> None:
    if SYSTEM.search(command):
        (made.data / "temp").mkdir(exist_ok=True)
        print("  left out: it needs the image's own system", flush=True)
    elif not made.install:
        # What installs has to begin to, at least: with the few files that are there so far.
        _finish(made, [made.python, "-c", "import tools.install"])
        print("  left out: the packages are there", flush=True)
    else:
        shell = command.replace("python ", f"{shlex.quote(made.python)} ")
        _finish(made, ["bash", "-euc", shell])


def _finish(made: Container, command: list[str]) -> None:
    done = subprocess.run(command, cwd=made.files, env=_environment(made), capture_output=True, text=True)
    if done.returncode:
        raise StepFailed(f"{' '.join(command)}\n{(done.stdout + done.stderr)[-2000:]}")


def _run_page(made: Container) -> None:
    """Opens the page, waits until the health check passes, and stops it."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        made.env["PORT"] = str(free.getsockname()[1])
    command = [made.python, *made.command[1:]]
    with subprocess.Popen(command, cwd=made.files, env=_environment(made)) as page:
        try:
            _await_health(made, page)
            print("healthy", flush=True)
            page.send_signal(signal.SIGTERM)
            page.wait(GRACE_SECONDS)
        except subprocess.TimeoutExpired:
            raise StepFailed(f"SIGTERM did not end the page within {GRACE_SECONDS} s.") from None
        finally:
            page.kill()
    if page.returncode:
        raise StepFailed(f"the page ended with {page.returncode}")
    if left := [*(made.data / "temp").glob("upscale-bench-*")]:
        raise StepFailed(f"visitors' files are left behind: {left[0].name}")
    print("stopped", flush=True)


def _await_health(made: Container, page: "subprocess.Popen[bytes]") -> None:
    check = [made.python, *made.check[1:]]
    end = time.monotonic() + OPEN_SECONDS
    while subprocess.run(check, env=_environment(made), cwd=made.files, stderr=subprocess.DEVNULL).returncode:
        if page.poll() is not None:
            raise StepFailed(f"the page ended with {page.returncode}")
        if time.monotonic() > end:
            raise StepFailed(f"the page was not healthy within {OPEN_SECONDS} s.")
        time.sleep(0.5)


def _environment(made: Container) -> dict[str, str]:
    """The variables of the image, and of this machine those by which programs are found and packages reached."""
    kept = {name: value for name, value in os.environ.items() if name == "PATH" or name.startswith(("PIP_", "HTTP"))}
    return kept | {"HF_HUB_OFFLINE": "1"} | made.env


def _make_python(folder: Path) -> str:
    subprocess.run([sys.executable, "-m", "venv", folder / "python"], check=True)
    return str(folder.resolve() / "python" / "bin" / "python")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
