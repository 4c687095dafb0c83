"""Installs what the page or the tests need, by pip, and says what comes: `python -m tools.install page|tools`.

Run by the environment's own Python from the root of the repository, with the standard library alone. On Linux the usual
package index has torch with CUDA, which is gigabytes, and of no use where there is no NVIDIA GPU: there torch alone is
taken from PyTorch's index of builds for CPUs, before all else, so that pip finds it installed. UPSCALE_TORCH says
otherwise: `cpu`, `default` (the usual index), or the URL of an index.
"""

import os
import re
import shutil
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator, Sequence
from importlib import metadata
from pathlib import Path
from typing import NamedTuple

from pipelines.machine import has_nvidia

CPU_INDEX = "https://download.pytorch.org/whl/cpu"
INDEX_SECONDS = 4.0  # that an index may take to answer before it counts as out of reach
WORTH_SAYING_MEGABYTES = 20.0  # MB: smaller downloads come unmentioned


class Group(NamedTuple):
    """Packages that are installed together; then those of the files `alone`, without what they ask for."""

    what: str
    files: tuple[str, ...]
    size: str  # of what is downloaded, without CUDA
    time: str
    alone: tuple[str, ...] = ()


GROUPS = {
    "page": Group(
        "what the page needs",
        ("requirements.txt", "requirements-cpu.txt"),
        "some 500 MB",
        "a few minutes",
        ("requirements-any.txt",),
    ),
    "tools": Group("what tests and checks need", ("requirements-dev.txt",), "some 100 MB", "a minute or two"),
}


class Choice(NamedTuple):
    """Where torch is to come from: an index of its own or, where that is None, the usual one; and why."""

    url: str | None
    why: str
    asked_for: bool = False


class CannotInstall(Exception):
    """The message is one plain sentence."""


def main(arguments: Sequence[str]) -> int:
    """Installs one group; returns the exit code."""
    if len(arguments) != 1 or arguments[0] not in GROUPS:
        print(f"usage: python -m tools.install {'|'.join(GROUPS)}", file=sys.stderr)
        return 2
    try:
        install(GROUPS[arguments[0]])
    except CannotInstall as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def install(group: Group) -> None:
    """Installs the group's packages. Raises CannotInstall, after pip has said why on stderr."""
    say(f"Installing {group.what}: {group.size} of packages, {group.time}.")
    needed = torch_requirement(group.files)
    if needed and not is_installed("torch"):
        choice = choose_torch()
        say(f"torch comes from {choice.url or 'the usual package index'}, {choice.why}.")
        if choice.url and not pip("install", "--no-deps", "--index-url", choice.url, needed):
            if choice.asked_for:
                raise CannotInstall(f"{choice.url} gives no {needed}, which UPSCALE_TORCH asks for.")
            say("It has no torch that fits, so the usual package index is used instead.")
    if not pip("install", *(each for file in group.files for each in ("-r", file))):
        raise CannotInstall(f"pip could not install {group.what}. Its message above says why.")
    for file in group.alone:
        if not pip("install", "--no-deps", "-r", file):
            say(f"{file} could not be installed. What needs it will say so.")


def choose_torch() -> Choice:
    """Returns where torch is to come from on this machine. Raises CannotInstall where that cannot be reached."""
    wish = os.environ.get("UPSCALE_TORCH", "")
    if wish == "default":
        return Choice(None, "as UPSCALE_TORCH says")
    if wish:
        index = CPU_INDEX if wish == "cpu" else wish
        if not index.startswith(("https://", "http://")):
            raise CannotInstall(f"UPSCALE_TORCH is cpu, default or the URL of a package index, not {wish!r}.")
        if not index_answers(index):
            raise CannotInstall(f"{index}, which UPSCALE_TORCH asks for, cannot be reached.")
        return Choice(index, "as UPSCALE_TORCH says", asked_for=True)
    if sys.platform != "linux":
        return Choice(None, "which has the right one for this system")
    if has_nvidia() or shutil.which("nvidia-smi"):
        return Choice(None, "because there is an NVIDIA GPU; CUDA adds some 3 GB (UPSCALE_TORCH=cpu leaves it out)")
    if not index_answers(CPU_INDEX):
        return Choice(None, f"because {CPU_INDEX} cannot be reached; it may add CUDA, some 3 GB")
    return Choice(CPU_INDEX, "because there is no NVIDIA GPU (UPSCALE_TORCH=default adds CUDA, some 3 GB)")


def index_answers(index: str) -> bool:
    """Returns whether an index has a page about torch, found out in a few seconds: DNS may take longer."""
    found = threading.Event()

    def ask() -> None:
        try:
            with urllib.request.urlopen(f"{index.rstrip('/')}/torch/", timeout=INDEX_SECONDS):
                found.set()
        except (OSError, ValueError):
            return

    asking = threading.Thread(target=ask, daemon=True)
    asking.start()
    asking.join(INDEX_SECONDS)
    return found.is_set()


def torch_requirement(files: Sequence[str]) -> str:
    """The line about torch in the files of requirements; empty where there is none."""
    lines = (line.partition("#")[0].strip() for file in files for line in Path(file).read_text().splitlines())
    return next((line for line in lines if re.match(r"torch\b", line)), "")


def is_installed(name: str) -> bool:
    """Returns whether this Python has the package, in any version."""
    try:
        metadata.version(name)
    except metadata.PackageNotFoundError:
        return False
    return True


def pip(*arguments: str) -> bool:
    """Runs pip and says which large packages it downloads; its errors go to stderr as they are. Returns whether it
    succeeded.
    """
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", *arguments, "--progress-bar", "off"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in describe_progress(process.stdout):
            say(line)
    return process.returncode == 0


def describe_progress(lines: Iterator[str]) -> Iterator[str]:
    """Returns what of pip's lines is worth saying: large downloads, and that the unpacking begins."""
    for line in lines:
        download = re.search(r"Downloading (?:\S+/)?([\w.]+)-(\d[\w.+]*)-\S+ \(([\d.]+) ([MG])B\)", line)
        if download:
            name, version, size, unit = download.groups()
            megabytes = float(size) * (1000 if unit == "G" else 1)
            if megabytes >= WORTH_SAYING_MEGABYTES:
                yield f"  {name} {version}, {megabytes:.0f} MB"
        elif line.startswith("Installing collected packages:"):
            yield f"  unpacking {line.count(',') + 1} packages"


def say(line: str) -> None:
    """Prints a line at once, also where nobody looks at a terminal."""
    print(line, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
