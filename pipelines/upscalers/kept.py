"""What was measured on this machine, kept from one start to the next, beside the downloads."""

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

from pipelines import environment, machine
from pipelines.files import write_whole


def read(name: str) -> Any:
    """Returns what the file of this name keeps; None where there is none, or one of another processor or precision."""
    try:
        content = json.loads(find(name).read_text())
    except (OSError, ValueError, RecursionError):
        return None
    return content if isinstance(content, dict) and content.get("machine") == describe_machine() else None


def write(name: str, content: dict[str, Any]) -> None:
    """Keeps this in place of what the file kept. Raises CannotWrite."""
    path = find(name)
    with suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, json.dumps({"machine": describe_machine(), **content}, indent=1).encode())


def describe_machine() -> str:
    """What decides how fast networks are: the processor, how it multiplies bfloat16, its cores, and the precision.

    Virtual machines call processors with and without AMX by one name.
    """
    quick = sorted(machine.features() & machine.BFLOAT16_FEATURES)
    parts = [machine.processor(), *quick, f"{machine.cores()} cores", *(["exact"] if environment.exact() else [])]
    return ", ".join(parts)


def find(name: str) -> Path:
    """Returns where the file is, or would be."""
    from huggingface_hub import constants

    return Path(constants.HF_ASSETS_CACHE) / "upscale-bench" / name
