"""Every environment variable the project reads, in one place.

Read on each call, not at import, so that a test or a notebook can change one. The Hub's own variables (HF_HOME,
HF_ENDPOINT, HF_TOKEN, HF_HUB_OFFLINE) are read by huggingface_hub.
"""

import os
import re
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from pipelines.errors import BadSetting

MEGA = 1_000_000
PRIVATE_NETWORKS = "10.0.0.0/8,172.16.0.0/12,192.168.0.0/16,100.64.0.0/10,169.254.0.0/16,fc00::/7,fe80::/10"


@dataclass(frozen=True, slots=True)
class Limits:
    """What one request may ask for. Pixels are counted as width times height."""

    input_pixels: int
    output_pixels: int
    file_bytes: int


def limits() -> Limits:
    """Returns the limits that UPSCALE_MAX_INPUT_MEGAPIXELS, …OUTPUT_MEGAPIXELS and …UPLOAD_MEGABYTES set."""
    return Limits(
        input_pixels=int(_positive("UPSCALE_MAX_INPUT_MEGAPIXELS", 50) * MEGA),
        output_pixels=int(_positive("UPSCALE_MAX_OUTPUT_MEGAPIXELS", 128) * MEGA),
        file_bytes=int(_positive("UPSCALE_MAX_UPLOAD_MEGABYTES", 50) * MEGA),
    )


def most_run_seconds() -> float:
    """Returns for how many seconds one run may compute: UPSCALE_MAX_RUN_SECONDS."""
    return _positive("UPSCALE_MAX_RUN_SECONDS", 3600)


def most_runs() -> int | None:
    """Returns how many runs one visitor may begin in an hour, None for any number: UPSCALE_MAX_RUNS_PER_HOUR."""
    return _allowance("UPSCALE_MAX_RUNS_PER_HOUR", 60)


def most_downloads() -> int | None:
    """Returns how many models a visitor may have downloaded an hour (None: any): UPSCALE_MAX_DOWNLOADS_PER_HOUR."""
    return _allowance("UPSCALE_MAX_DOWNLOADS_PER_HOUR", 10)


def most_pictures() -> int:
    """Returns how many pictures one comparison or batch on the page may take: UPSCALE_MAX_PICTURES."""
    return _whole("UPSCALE_MAX_PICTURES", 100, 1_000)


def most_compared_pixels() -> int:
    """Returns how many pixels all results of one comparison on the page may have: UPSCALE_MAX_COMPARED_MEGAPIXELS."""
    return int(_positive("UPSCALE_MAX_COMPARED_MEGAPIXELS", 1000) * MEGA)


def most_batch_pixels() -> int:
    """Returns how many pixels all results of one batch on the page may have: UPSCALE_MAX_BATCH_MEGAPIXELS."""
    return int(_positive("UPSCALE_MAX_BATCH_MEGAPIXELS", 1000) * MEGA)


def most_unpacked_bytes() -> int:
    """Returns how large the images of a visitor's zip may be once unpacked: UPSCALE_MAX_UNPACKED_MEGABYTES."""
    return int(_positive("UPSCALE_MAX_UNPACKED_MEGABYTES", 500) * MEGA)


def most_unpacked_in_calls() -> int:
    """Returns how large all images unpacked for running API calls may be: UPSCALE_MAX_ALL_UNPACKED_MEGABYTES."""
    return int(_positive("UPSCALE_MAX_ALL_UNPACKED_MEGABYTES", 2000) * MEGA)


def most_model_bytes() -> int:
    """The largest file of weights that is downloaded because somebody named it: UPSCALE_MAX_MODEL_MEGABYTES."""
    return int(_positive("UPSCALE_MAX_MODEL_MEGABYTES", 256) * MEGA)


def model_hosts() -> tuple[str, ...]:
    """Returns more hosts of weights: UPSCALE_MODEL_HOSTS, with commas; "*" is all, ".name" all below a name."""
    return tuple(each.strip().lower() for each in os.environ.get("UPSCALE_MODEL_HOSTS", "").split(",") if each.strip())


def openmodeldb() -> str:
    """The address of OpenModelDB, or of a copy of its list: UPSCALE_OPENMODELDB."""
    return os.environ.get("UPSCALE_OPENMODELDB", "").rstrip("/") or "https://openmodeldb.info"


def most_kept_bytes() -> int:
    """Returns how much of what visitors named is kept, all files together: UPSCALE_MAX_MODELS_MEGABYTES."""
    return int(_positive("UPSCALE_MAX_MODELS_MEGABYTES", 2000) * MEGA)


def most_held_bytes() -> int:
    """Returns how much of what visitors send and are given is kept, all together: UPSCALE_MAX_HELD_MEGABYTES."""
    return int(_positive("UPSCALE_MAX_HELD_MEGABYTES", 10000) * MEGA)


def share_days() -> int:
    """Returns for how many days a shared page is kept: UPSCALE_SHARE_DAYS. With 0 nothing can be shared."""
    return _whole("UPSCALE_SHARE_DAYS", 30, 3_650, least=0)


def share_dir() -> Path | None:
    """Returns the folder of shared pages, if that was chosen: UPSCALE_SHARE_DIR."""
    text = os.environ.get("UPSCALE_SHARE_DIR", "").strip()
    return Path(text).absolute() if text else None


def most_shared_bytes() -> int:
    """Returns how much of the disk shared pages take, all together: UPSCALE_MAX_SHARED_MEGABYTES."""
    return int(_positive("UPSCALE_MAX_SHARED_MEGABYTES", 2000) * MEGA)


def share_repo() -> str:
    """The dataset of the Hub that keeps shared pages, "owner/name"; "" without one: UPSCALE_SHARE_REPO."""
    text = os.environ.get("UPSCALE_SHARE_REPO", "").strip()
    if text and not re.fullmatch(r"[\w.-]+/[\w.-]+", text):
        raise BadSetting(f"UPSCALE_SHARE_REPO must be a dataset on the Hub such as owner/name, not {text!r}.")
    return text


def mcp() -> bool:
    """Returns whether the page is a server of the Model Context Protocol as well: UPSCALE_MCP, "0" unless set."""
    return _switch("UPSCALE_MCP")


def temporary_folder() -> str | None:
    """Returns where gradio puts its files, if that was chosen: GRADIO_TEMP_DIR, gradio's own."""
    return os.environ.get("GRADIO_TEMP_DIR")


def use_temporary_folder(folder: str) -> None:
    """Has gradio put its files there, which it looks up as each component is made: sets GRADIO_TEMP_DIR."""
    os.environ["GRADIO_TEMP_DIR"] = folder


def queue_length() -> int:
    """Returns how many requests may wait before a visitor is told that the page is busy: UPSCALE_MAX_QUEUE."""
    return _whole("UPSCALE_MAX_QUEUE", 16, 1_000_000)


def port() -> int:
    """The port the page listens on: PORT, 7860 unless set."""
    return _whole("PORT", 7860, 65_535)


def server_name() -> str:
    """The name or address the page listens on: GRADIO_SERVER_NAME, gradio's own, 127.0.0.1 unless set."""
    return os.environ.get("GRADIO_SERVER_NAME") or "127.0.0.1"


def root_path() -> str:
    """The path, with a slash before it, or the URL that the page is served from: GRADIO_ROOT_PATH, gradio's own."""
    text = os.environ.get("GRADIO_ROOT_PATH", "").strip()
    if not text or text.startswith(("/", "http://", "https://")):
        return text
    return f"/{text}"


def reach_this_machine_directly() -> None:
    """Adds this machine's own names to NO_PROXY: a proxy, which HTTP_PROXY names, cannot reach what listens here."""
    known = os.environ.get("no_proxy") or os.environ.get("NO_PROXY") or ""
    if known.strip() != "*":
        names = [*filter(None, known.split(",")), "127.0.0.1", "localhost", "::1", server_name()]
        os.environ["no_proxy"] = os.environ["NO_PROXY"] = ",".join(dict.fromkeys(names))


def trust_proxies() -> None:
    """Has uvicorn believe what proxies note of who sent a request, which it does of those that FORWARDED_ALLOW_IPS
    names, its own: this machine is added, and on a Space, where nobody else can reach it, every private address.
    """
    named = os.environ.get("FORWARDED_ALLOW_IPS", "").strip()
    if named != "*":
        named = named or (PRIVATE_NETWORKS if on_space() else "")
        names = [*map(str.strip, named.split(",")), "127.0.0.1", "::1", "::ffff:127.0.0.1", server_name()]
        os.environ["FORWARDED_ALLOW_IPS"] = ",".join(dict.fromkeys(filter(None, names)))


def debug() -> bool:
    """Returns whether tracebacks are shown that users get one message for: UPSCALE_DEBUG, "0" unless set, or "1"."""
    return _switch("UPSCALE_DEBUG")


def exact() -> bool:
    """Returns whether networks are to run in float32 throughout: UPSCALE_PRECISION, "auto" unless set, or "exact"."""
    text = os.environ.get("UPSCALE_PRECISION") or "auto"
    if text not in ("auto", "exact"):
        raise BadSetting(f"UPSCALE_PRECISION must be auto or exact, not {text!r}.")
    return text == "exact"


def cpu_instructions() -> str:
    """The most that oneDNN may use of what the processor can do, in its names: ONEDNN_MAX_CPU_ISA, oneDNN's own."""
    return (os.environ.get("ONEDNN_MAX_CPU_ISA") or "ALL").upper()


def bound_kernel_cache(kernels: int) -> None:
    """Has oneDNN keep so many kernels, unless somebody chose how many. It counts before its first computation."""
    os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", str(kernels))


def let_threads_sleep() -> None:
    """Has torch's threads sleep while they wait, unless OMP_WAIT_POLICY is set. It counts before torch is imported."""
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


def accepted_licences() -> frozenset[str]:
    """Returns what the owner accepts the licence of, by the keys of models: UPSCALE_ACCEPT, with commas between."""
    return frozenset(filter(None, (text.strip() for text in os.environ.get("UPSCALE_ACCEPT", "").split(","))))


def accept_licences(terms: Iterable[str]) -> None:
    """Sets whose licence the owner accepts, here and in processes that are started: UPSCALE_ACCEPT."""
    os.environ["UPSCALE_ACCEPT"] = ",".join(sorted(terms))


def preloaded(usual: str = "") -> tuple[str, ...]:
    """What the page loads as it opens, KEY:SCALE of models, KEY of metrics: UPSCALE_PRELOAD with commas, or `usual`."""
    given = (text.strip() for text in os.environ.get("UPSCALE_PRELOAD", usual).split(","))
    return tuple(text for text in given if text)


def for_child() -> dict[str, str]:
    """Returns the variables of a Python that this process starts: it finds the same packages, and warns of nothing."""
    paths = os.pathsep.join(path for path in sys.path if path)
    return os.environ | {"PYTHONPATH": paths, "PYTHONWARNINGS": "ignore"}


def on_space() -> bool:
    """Returns whether this is a Space of Hugging Face, open to everybody: SPACE_ID, which is set there."""
    return bool(os.environ.get("SPACE_ID"))


def zero_gpu() -> bool:
    """Returns whether this is a Space that borrows its GPU for each call: SPACES_ZERO_GPU, which is set there."""
    return os.environ.get("SPACES_ZERO_GPU", "").lower() in ("1", "t", "true")  # as the package `spaces` reads it


def has_ray_address() -> bool:
    """Returns whether Ray is told of a cluster: it reads RAY_ADDRESS itself."""
    return bool(os.environ.get("RAY_ADDRESS"))


def weights_dir() -> Path | None:
    """The user's own folder of weights, searched first: UPSCALE_WEIGHTS_DIR. Raises BadSetting when it is no folder."""
    text = os.environ.get("UPSCALE_WEIGHTS_DIR")
    if not text:
        return None
    try:
        folder = Path(text).expanduser()
        is_folder = folder.is_dir()
    except OSError as error:
        raise BadSetting(f"UPSCALE_WEIGHTS_DIR cannot be {text!r} ({error.strerror}).") from error
    except RuntimeError as error:
        raise BadSetting(f"UPSCALE_WEIGHTS_DIR cannot be {text!r}: there is no such user.") from error
    if not is_folder:
        raise BadSetting(f"UPSCALE_WEIGHTS_DIR must be a folder, which {text!r} is not.")
    return folder


def _switch(name: str) -> bool:
    text = os.environ.get(name) or "0"
    if text not in ("0", "1"):
        raise BadSetting(f"{name} must be 0 or 1, not {text!r}.")
    return text == "1"


def _whole(name: str, default: int, most: int, least: int = 1) -> int:
    text = os.environ.get(name, "")
    try:
        value = int(text) if text else default
    except ValueError:
        value = -1
    if not least <= value <= most:
        raise BadSetting(f"{name} must be a whole number from {least} to {most}, not {text!r}.")
    return value


def _allowance(name: str, on_a_space: int) -> int | None:
    """Returns what one visitor is allowed: by default nothing is limited but on a Space; 0 means no limit there."""
    text = os.environ.get(name, "")
    if text == "0" or (not text and not on_space()):
        return None
    return _whole(name, on_a_space, 1_000_000)


def _positive(name: str, default: float) -> float:
    text = os.environ.get(name, "")
    try:
        value = float(text) if text else default
    except ValueError:
        value = -1.0
    if not 0 < value < 1e9:
        raise BadSetting(f"{name} must be a positive number, not {text!r}.")
    return value
