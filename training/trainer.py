"""One training run: patches in, an averaged network out, a checkpoint on the way.

A run that was killed goes on from its checkpoint with the same batches and rates it would have seen; a checkpoint of
another configuration is refused. Knows nothing of how files are exported.
"""

import math
import os
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from pipelines.archs.srcnn import Srcnn
from pipelines.archs.swift import Swift
from pipelines.errors import BadSetting, TrainingStopped
from training.branches import BranchedConv
from training.data import Pair, Patches
from training.losses import luma_weighted_l1, psnr_y

EMA = 0.999
WARM_UP = 200  # steps
LATE = 0.75  # from this part of the run on, patches are twice as large and half as many


@dataclass(frozen=True, slots=True)
class Config:
    """All that decides the result, apart from the processor's rounding."""

    network: str  # swift or srcnn
    scale: int
    width: int
    depth: int
    steps: int
    batch: int
    patch: int  # low-resolution pixels
    rate: float
    seed: int
    pictures: int


@dataclass(frozen=True, slots=True)
class Trained:
    """The averaged network in its training form, on the CPU, and what it took."""

    network: nn.Module
    hours: float


def build(config: Config) -> nn.Module:
    """The network in its training form, freshly initialised from the seed."""
    torch.manual_seed(config.seed)
    if config.network == "srcnn":
        return Srcnn(config.scale)
    return Swift(config.scale, config.width, config.depth, BranchedConv)


def device_and_dtype(exact: bool = False) -> tuple[torch.device, torch.dtype]:
    """The GPU if there is one; bfloat16 where matrix units do it (a GPU, AMX), else float32."""
    if torch.cuda.is_available():
        return torch.device("cuda"), torch.float32 if exact else torch.bfloat16
    amx = torch.cpu._is_amx_tile_supported()
    return torch.device("cpu"), torch.bfloat16 if amx and not exact else torch.float32


def train(
    config: Config,
    patches: Patches,
    held_out: list[Pair],
    checkpoint: Path,
    start: Path | None = None,
    exact: bool = False,
    every: int = 500,
    log: Callable[[str], None] = print,
) -> Trained:
    """Train, or go on from `checkpoint` if it exists; `start` is another run's checkpoint to take equal layers from.

    A line is logged, and the checkpoint written, every `every` steps. BadSetting if the checkpoint is of another
    configuration, TrainingStopped if the loss stops being a number.
    """
    device, dtype = device_and_dtype(exact)
    network = build(config).to(device)
    if start is not None:
        log(take_layers(network, start))
    average = build(config).to(device)
    average.load_state_dict(network.state_dict())
    optimizer = torch.optim.Adam(network.parameters(), lr=config.rate, betas=(0.9, 0.99), fused=True)
    done, seconds = 0, 0.0
    if checkpoint.exists():
        saved = read_checkpoint(checkpoint, config)
        network.load_state_dict(saved["network"])
        average.load_state_dict(saved["average"])
        optimizer.load_state_dict(saved["optimizer"])
        done, seconds = saved["step"], saved["seconds"]
        log(f"going on from step {done} of {checkpoint}")
    patches = patches.to(device)
    losses: list[torch.Tensor] = []
    began = time.monotonic() - seconds
    while done < config.steps:
        for group in optimizer.param_groups:
            group["lr"] = rate_at(config, done)
        low, high = patches.batch(*batch_at(config, patches, done), seed=config.seed * 1_000_003 + done)
        with torch.autocast(device.type, torch.bfloat16, enabled=dtype == torch.bfloat16):
            output = network(low.contiguous(memory_format=torch.channels_last))
        loss = luma_weighted_l1(output.float(), high)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        done += 1
        follow(average, network, done)
        losses.append(loss.detach())
        if done % every == 0 or done == config.steps:
            mean = torch.stack(losses).mean().item()
            losses.clear()
            if not math.isfinite(mean):
                raise TrainingStopped(
                    f"The loss stopped being a number before step {done}; {checkpoint} keeps the last good state. "
                    "Try a lower --rate."
                )
            score = validate(average, held_out, device)
            seconds = time.monotonic() - began
            log(
                f"step {done}/{config.steps}  loss {mean:.5f}  PSNR-Y {score:.3f} dB  "
                f"rate {rate_at(config, done - 1):.1e}  {seconds / 60:.1f} min"
            )
            write_checkpoint(
                checkpoint,
                {
                    "config": asdict(config),
                    "step": done,
                    "seconds": seconds,
                    "network": network.state_dict(),
                    "average": average.state_dict(),
                    "optimizer": optimizer.state_dict(),
                },
            )
    return Trained(average.cpu(), seconds / 3600)


def rate_at(config: Config, step: int) -> float:
    """A short linear warm-up, then a cosine down to a thousandth."""
    warm = min(1.0, (step + 1) / WARM_UP)
    return config.rate * warm * (0.001 + 0.999 * 0.5 * (1 + math.cos(math.pi * step / config.steps)))


def batch_at(config: Config, patches: Patches, step: int) -> tuple[int, int]:
    """How many patches, and of which size, this step sees."""
    if step < LATE * config.steps or 2 * config.patch > patches.largest:
        return config.batch, config.patch
    return max(1, config.batch // 2), 2 * config.patch


@torch.no_grad()
def follow(average: nn.Module, network: nn.Module, step: int) -> None:
    """Move the averaged weights a little towards the current ones; more so early on."""
    weight = 1 - min(EMA, step / (step + 10))
    torch._foreach_lerp_(list(average.parameters()), list(network.parameters()), weight)


@torch.inference_mode()
def validate(network: nn.Module, pairs: list[Pair], device: torch.device) -> float:
    """Mean luma PSNR in dB, in float32, with the scale as border crop."""
    total = 0.0
    for each in pairs:
        low, high = (side[None].to(device).float() / 255 for side in (each.low, each.high))
        output = network(low.contiguous(memory_format=torch.channels_last))
        total += psnr_y(output, high, crop=high.shape[-1] // low.shape[-1])
    return total / len(pairs)


def take_layers(network: nn.Module, start: Path) -> str:
    """Copy every layer of equal name and shape from another run's averaged network; says how many."""
    saved = read_checkpoint(start)["average"]
    state = network.state_dict()
    equal = {key: value for key, value in saved.items() if key in state and state[key].shape == value.shape}
    network.load_state_dict(state | equal)
    return f"{len(equal)} of {len(state)} tensors taken from {start.name}"


def read_checkpoint(path: Path, config: Config | None = None) -> dict[str, Any]:
    """A checkpoint's contents. BadSetting if it cannot be read or is of another configuration than the one given."""
    try:
        saved: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        found = saved["config"]
    except Exception as error:  # torch.load raises many kinds
        raise BadSetting(f"{path} is not a checkpoint of this project.") from error
    wanted = found if config is None else asdict(config)
    differences = [
        f"{key} {found.get(key)} there, {wanted[key]} here" for key in wanted if found.get(key) != wanted[key]
    ]
    if differences:
        raise BadSetting(
            f"{path} is of another configuration ({'; '.join(differences)}): remove it or name another --runs folder."
        )
    return saved


def write_checkpoint(path: Path, contents: dict[str, Any]) -> None:
    """Write so that a kill leaves either the old file or the new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    torch.save(contents, part)
    os.replace(part, path)
