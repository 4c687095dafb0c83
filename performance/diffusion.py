"""Stable Diffusion x4 against diffusers' own pipeline over the same networks: seconds a step, a picture, and memory.

python -m performance.diffusion [128] [256] [512] [precision]

All parts, or those that are named: sides in pixels, and what half precision costs. The networks have their true size
and random parameters: what a pass costs does not depend on them. They are saved once as diffusers saves them, and
loaded by the product's own code in a fresh process for each line. Where there is a CUDA GPU, the sides are
measured on it, in half precision; on two cores of a CPU all parts take an hour.
"""

import json
import math
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import astuple, dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal, TypeAlias
from unittest import mock

import numpy as np
import torch
from diffusers import AutoencoderKL, DDIMScheduler, DDPMScheduler, StableDiffusionUpscalePipeline, UNet2DConditionModel
from PIL import Image
from torch import nn
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

from performance.measuring import resident_megabytes, write_section
from performance.upscale import ROOT, scene
from pipelines.catalog.rows import find, find_specification, weights_for
from pipelines.catalog.settings import Settings
from pipelines.images.picture import Pixels, to_uint8
from pipelines.measuring.memory import peak_memory
from pipelines.measuring.metrics.pixelwise import psnr
from pipelines.networks import devices
from pipelines.networks.devices import Device
from pipelines.runs import finish
from pipelines.upscalers.diffusion.engine import DiffusionUpscaler, build
from pipelines.weights import fetch as weights

Enlarge: TypeAlias = Callable[[int, int], object]
"""Enlarges a made picture of that side with so many steps."""
Precision: TypeAlias = Literal["float32", "bfloat16", "float16"]

KEY, SCALE = "sd-x4", 4
DEFAULT = find_specification(find(KEY)).options.steps
PARAMETERS = {"unet": 473_398_020, "vae": 55_325_927}  # of the published files
HALF: tuple[Precision, ...] = ("bfloat16", "float16")
NOISE = {"beta_start": 0.0001, "beta_end": 0.02, "beta_schedule": "scaled_linear", "num_train_timesteps": 1000}


# --- the networks ---------------------------------------------------------------------------------------------------


def unet() -> UNet2DConditionModel:
    """The denoising network of stabilityai/stable-diffusion-x4-upscaler, by its unet/config.json."""
    return UNet2DConditionModel(
        in_channels=7,
        out_channels=4,
        block_out_channels=(256, 512, 512, 1024),
        layers_per_block=2,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
        attention_head_dim=8,
        cross_attention_dim=1024,
        num_class_embeds=1000,
        only_cross_attention=(True, True, True, False),
        use_linear_projection=True,
    )


def vae() -> AutoencoderKL:
    """Its autoencoder, by its vae/config.json."""
    return AutoencoderKL(
        block_out_channels=(128, 256, 512),
        down_block_types=("DownEncoderBlock2D",) * 3,
        up_block_types=("UpDecoderBlock2D",) * 3,
        latent_channels=4,
        layers_per_block=2,
        scaling_factor=0.08333,
    )


def text_encoder() -> CLIPTextModel:
    """As wide as the real one, and as many words long, but of one layer: it runs once, beside the measured passes."""
    config = CLIPTextConfig(
        vocab_size=514,
        hidden_size=1024,
        intermediate_size=64,
        num_attention_heads=16,
        num_hidden_layers=1,
        bos_token_id=512,
        eos_token_id=513,
        pad_token_id=513,
    )
    return CLIPTextModel(config)


def put_tokenizer(folder: Path) -> CLIPTokenizer:
    """Each letter is a word. Written as the published one's files."""
    letters = [*map(chr, range(33, 127)), *map(chr, range(256, 418))]
    tokens = [*letters, *(letter + "</w>" for letter in letters), "<|startoftext|>", "<|endoftext|>"]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "vocab.json").write_text(json.dumps({token: place for place, token in enumerate(tokens)}))
    (folder / "merges.txt").write_text("#version: 0.2\n")
    settings = {"model_max_length": 77, "tokenizer_class": "CLIPTokenizer", "pad_token": "!"}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    (folder / "special_tokens_map.json").write_text("{}")
    return CLIPTokenizer.from_pretrained(folder, local_files_only=True)


def save(folder: Path) -> None:
    """All parts, as diffusers saves them."""
    torch.manual_seed(0)
    parts = {"unet": unet(), "vae": vae()}
    for name, network in parts.items():
        assert sum(parameter.numel() for parameter in network.parameters()) == PARAMETERS[name]
    tokenizer = put_tokenizer(folder / "tokenizer")
    pipeline = StableDiffusionUpscalePipeline(
        **parts,
        text_encoder=text_encoder(),
        tokenizer=tokenizer,
        low_res_scheduler=DDPMScheduler(**NOISE),
        scheduler=DDIMScheduler(
            **NOISE, prediction_type="v_prediction", clip_sample=False, set_alpha_to_one=False, steps_offset=1
        ),
    )
    pipeline.save_pretrained(folder)
    put_tokenizer(folder / "tokenizer")


# --- who runs them --------------------------------------------------------------------------------------------------


def load_ours(folder: Path) -> DiffusionUpscaler:
    """The upscaler as the product loads it."""
    model = find(KEY)
    needed = weights_for(model, SCALE)
    assert needed
    return build(model, SCALE, weights.from_user(needed, folder))


def load_stock(folder: Path) -> Any:
    """The pipeline as its documentation has it: half precision on a GPU, float32 elsewhere."""
    name = devices.choose_device().name
    dtype = torch.float16 if name == "cuda" else torch.float32
    pipeline: Any = StableDiffusionUpscalePipeline.from_pretrained(folder, torch_dtype=dtype, local_files_only=True)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline.to(name)


@dataclass(frozen=True, slots=True)
class Job:
    """One line: who enlarges what, with how many steps. `decoded`: whether all the way to the picture."""

    who: str
    side: int
    steps: int
    guidance: float = 1.0
    decoded: bool = True


@dataclass(frozen=True, slots=True)
class Taken:
    """Seconds by `clock` of all steps, and of what comes before and after; seconds that passed; memory in MB."""

    steps: float
    rest: float
    passed: float
    peak: float
    held: float


def on_gpu() -> bool:
    """Whether there is one: all is measured there then."""
    return devices.choose_device().name == "cuda"


def clock() -> float:
    """Seconds that passed, where a GPU works; else those that the processor worked, all cores together.

    Other programs may have a part of the processor, but not of its work for this one.
    """
    return time.perf_counter() if on_gpu() else time.process_time()


def measured(job: Job, folder: Path) -> Taken:
    """The line's figures, once, after a small picture that warms up."""
    enlarge, network = (_ours if job.who == "ours" else _stock)(job, folder)
    enlarge(32, 1)
    times = _watched(network)
    with peak_memory() as peak:  # what was freed before is given back now
        held = torch.cuda.memory_allocated() / 1e6 if on_gpu() else resident_megabytes()
        start, began = clock(), time.perf_counter()
        enlarge(job.side, job.steps)
        whole, passed = clock() - start, time.perf_counter() - began
    steps = times[-1] - times[0]
    return Taken(steps, whole - steps, passed, peak.megabytes, held)


def _ours(job: Job, folder: Path) -> tuple[Enlarge, nn.Module]:
    upscaler = load_ours(folder)
    (parts,) = upscaler.placed.values()
    return lambda side, steps: finish(upscaler.run(scene(side), Settings(steps=steps))), parts.unet


def _stock(job: Job, folder: Path) -> tuple[Enlarge, nn.Module]:
    pipeline, kind = load_stock(folder), "np" if job.decoded else "latent"

    def enlarge(side: int, steps: int) -> object:
        image = Image.fromarray(to_uint8(scene(side)))
        return pipeline("", image, steps, guidance_scale=job.guidance, output_type=kind)

    return enlarge, pipeline.unet


def _watched(network: nn.Module) -> list[float]:
    """When each of the network's passes began and ended, from now on."""
    times: list[float] = []

    def now(*_: object) -> None:
        if on_gpu():
            torch.cuda.synchronize()
        times.append(clock())

    network.register_forward_pre_hook(now)
    network.register_forward_hook(now)
    return times


# --- the tables -----------------------------------------------------------------------------------------------------

ABOUT = (
    "By 4, without words; the denoising network and the autoencoder have their true size and random parameters, the "
    "text encoder one layer. Stock is diffusers' `StableDiffusionUpscalePipeline`, ours the product with its defaults: "
    "tiles of 128, its preview and colour fix included. Each line is one run in a fresh process, after a warm-up with "
    "a small picture. The rest is what comes before and after the steps, mostly decoding; a picture is reckoned from a "
    "step and the rest. Peak memory is above what is held before, the networks and the libraries; the result is in it."
)
ON_CPU = (
    "Seconds are those that the cores worked, together: other programs had a part of the processor, which shows in "
    "the seconds that passed. No GPU was at hand: where one is, the same command measures there."
)
NOT_DECODED = (
    "Stock's decoder is left out: it holds the whole picture at 2048 x 2048, and its attention alone is 141 of "
    "181 * 10^12 operations."
)


def at(side: int, folder: Path) -> None:
    """Seconds and peak memory of ours and of stock for a picture of that side."""
    steps = DEFAULT if on_gpu() else 2 if side == 128 else 1
    decoded = on_gpu() or side < 512
    jobs = [Job("stock", side, steps, decoded=decoded), Job("ours", side, steps)]
    if on_gpu():
        jobs.append(Job("stock, its defaults", side, 75, guidance=9.0))
    taken = [_in_fresh_process(job, folder) for job in jobs]
    first = taken[0].steps / steps
    rows = [_row(job, each, first) for job, each in zip(jobs, taken, strict=True)]
    where = f"{torch.cuda.get_device_name()}, float16; nan: out of memory." if on_gpu() else ON_CPU
    header = ["way", "steps", "a step, s", "of stock's", "the rest, s", "a picture, s", "of steps", "passed, s"]
    header += ["peak, MB", "before, MB"]
    about = " ".join([ABOUT, where, *([] if decoded else [NOT_DECODED])])
    write_section(f"Stable Diffusion x4: {side} px", about, header, rows)


def _row(job: Job, taken: Taken, stock: float) -> list[str]:
    each, wanted = taken.steps / job.steps, max(job.steps, DEFAULT)
    rest = [f"{taken.rest:.1f}", f"{wanted * each + taken.rest:.0f}"] if job.decoded else ["", ""]
    seconds = [f"{each:.2f}", f"{each / stock:.2f}", *rest, f"{wanted}", f"{taken.passed:.0f}"]
    return [job.who, f"{job.steps}", *seconds, f"{taken.peak:.0f}", f"{taken.held:.0f}"]


def _in_fresh_process(job: Job, folder: Path) -> Taken:
    command = [sys.executable, "-m", "performance.diffusion", "one", str(folder), json.dumps(astuple(job))]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, cwd=ROOT)
    return Taken(*json.loads(done.stdout.splitlines()[-1]))


def one(job: Job, folder: Path) -> None:
    """What `at` runs in a process of its own."""
    try:
        taken = measured(job, folder)
    except torch.OutOfMemoryError:
        taken = Taken(*[math.nan] * 5)
    print(json.dumps(astuple(taken)))


def precision(folder: Path) -> None:
    """How far the picture is from float32's where the denoising network computes in half precision, on a CPU."""
    exact = _predicted("float32", folder)
    rows = []
    for dtype in HALF:
        first, last, picture = _predicted(dtype, folder)
        found = psnr(to_uint8(exact[2]), to_uint8(picture))
        off = [f"{_off(first, exact[0]):.1e}", f"{_off(last, exact[1]):.1e}"]
        rows.append([dtype, *off, "the same" if found is None else f"{found:.1f}"])
    about = (
        "32 x 32 by 4 on a CPU, 4 steps, random parameters, no colour fix; the autoencoder in float32. The network's "
        "predictions: the root of the mean square of the difference to float32's, by that of float32's; the last one "
        "is made after the differences of all before it. The picture: PSNR against float32's, both at 8 bits. A GPU "
        "computes in float16, a CPU with AMX in bfloat16."
    )
    header = ["precision", "first prediction", "last prediction", "picture, dB"]
    write_section("Stable Diffusion x4: what precision costs", about, header, rows)


def _predicted(dtype: Precision, folder: Path) -> list[Pixels]:
    """The first and the last prediction of a run, and its picture."""
    seen: list[Pixels] = []
    with mock.patch.object(devices, "choose_device", lambda: Device("cpu", dtype)):
        upscaler = load_ours(folder)
        (parts,) = upscaler.placed.values()
        parts.unet.register_forward_hook(lambda network, given, made: seen.append(made[0].float().numpy()))
        made = finish(upscaler.run(scene(32), Settings(steps=4, colour_fix="none"))).pixels
    return [seen[0], seen[-1], made]


def _off(made: Pixels, exact: Pixels) -> float:
    """The root of the mean square of the difference, by that of the exact ones."""
    return float(np.sqrt(np.square(made - exact, dtype=np.float64).mean() / np.square(exact, dtype=np.float64).mean()))


def main(given: Sequence[str]) -> None:
    """Measure the parts that are named, or all, and write them to RESULTS.md."""
    if given[:1] == ["one"]:
        one(Job(*json.loads(given[2])), Path(given[1]))
        return
    parts: dict[str, Callable[[Path], None]] = {f"{side}": partial(at, side) for side in (128, 256, 512)}
    parts["precision"] = precision
    if unknown := set(given) - parts.keys():
        sys.exit(f"{' and '.join(sorted(unknown))}: none of {', '.join(parts)}.")
    with tempfile.TemporaryDirectory() as folder:
        save(Path(folder))
        for name in given or parts:
            parts[name](Path(folder))


if __name__ == "__main__":
    main(sys.argv[1:])
