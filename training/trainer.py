"""One training run: patches in, an averaged network out, a checkpoint on the way.

A run that was killed goes on from its checkpoint with the same batches and rates it would have seen; a checkpoint of
another configuration is refused. Knows nothing of how files are exported.
"""

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from pipelines import machine
from pipelines.errors import BadSetting, TrainingStopped
from training import checkpoint
from training.adversary import Adversary
from training.checkpoint import Checkpoint, Config, Round
from training.data import Pair, Supply
from training.losses import ADVERSARIAL, Loss, add_up, parse_losses, psnr_y
from training.networks import build_for_training
from training.starting import take_layers

EMA = 0.999
WARM_UP = 200  # steps
SEEDS_PER_RUN = 1_000_003  # a step's seed is its number after so many for each run's
LARGE_PATCHES_FROM = 0.75  # from this part of the run on, patches are twice as large and half as many


@dataclass(frozen=True, slots=True)
class Aim:
    """What a run is to reach: the loss of outputs and originals, and a score, the higher the better, with its words.

    With a critic the network is also to pass its judgement, by so much a weight.
    """

    loss: Loss
    score: Callable[[nn.Module, torch.device], float]
    words: str = "PSNR-Y {:.3f} dB"
    critic: Adversary | None = None
    critic_weight: float = 0.0


@dataclass(frozen=True, slots=True)
class Trained:
    """The averaged network in its training form, on the CPU, and the rounds it took, the last one last."""

    network: nn.Module
    rounds: tuple[Round, ...]


def choose_device(exact: bool = False) -> tuple[torch.device, torch.dtype]:
    """The GPU if there is one; bfloat16 where the processor multiplies it (a GPU, AMX, AVX512-BF16), else float32."""
    if torch.cuda.is_available():
        return torch.device("cuda"), torch.float32 if exact else torch.bfloat16
    quick = torch.cpu._is_amx_tile_supported() or torch.cpu._is_avx512_bf16_supported()
    return torch.device("cpu"), torch.bfloat16 if quick and not exact else torch.float32


def train(
    config: Config,
    patches: Supply,
    held_out: list[Pair] | Aim,
    path: Path,
    start: Path | None = None,
    every: int = 500,
    log: Callable[[str], None] = print,
    command: str = "",
) -> Trained:
    """Trains, or goes on from the checkpoint at `path` if there is one; `start` is what to begin with: another
    run's or a written file.

    With held-out pairs the loss is the configuration's and the score is PSNR; what makes no pictures has its own aim.
    `command` is for the record. A line is logged, and the checkpoint written, every `every` steps. Raises
    BadSetting if a checkpoint is of another configuration, CannotWrite, TrainingStopped if anything stops being a
    number.
    """
    device, dtype = choose_device(config.exact)
    aim = held_out if isinstance(held_out, Aim) else aim_at(config, held_out)
    network, average = build_for_training(config).to(device), build_for_training(config).to(device).eval()
    critic = aim.critic
    if critic is not None:
        critic.to(device)
    optimizer = torch.optim.Adam(network.parameters(), lr=config.rate, betas=(0.9, 0.99), fused=True)
    done, seconds = 0, 0.0
    rounds: tuple[Round, ...] = ()
    if path.exists():
        done, seconds, rounds = resume(path, config, network, average, optimizer, critic)
        log(f"going on from step {done} of {path}")
    elif start is not None:
        taken, rounds = take_layers(network, start)
        average.load_state_dict(network.state_dict())
        log(taken)
    patches = patches.to(device)
    losses: list[torch.Tensor] = []
    blames: list[torch.Tensor] = []
    began = time.monotonic() - seconds
    while done < config.steps:
        for group in optimizer.param_groups:
            group["lr"] = rate_at(config, done)
        low, high = patches.batch(*batch_at(config, patches, done), seed=config.seed * SEEDS_PER_RUN + done)
        with torch.autocast(device.type, torch.bfloat16, enabled=dtype == torch.bfloat16):
            output = network(low.contiguous(memory_format=torch.channels_last))
        loss = aim.loss(output.float(), high)
        if critic is not None:
            loss = loss + aim.critic_weight * critic.blame(output.float())
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        if critic is not None:
            blames.append(critic.learn(output.float(), high))
        done += 1
        update_average(average, network, done)
        losses.append(loss.detach())
        if done % every == 0 or done == config.steps:
            mean = torch.stack(losses).mean().item()
            told = f"  adversary {torch.stack(blames).mean().item():.4f}" if blames else ""
            losses.clear()
            blames.clear()
            score = aim.score(average, device)
            if not math.isfinite(mean + score) or not all_finite(network, average):
                kept = f"; {path} keeps the last good state" if path.exists() else ""
                raise TrainingStopped(
                    f"The loss or the network stopped being numbers before step {done}{kept}. "
                    "Try a lower --rate, with another --runs folder."
                )
            seconds = time.monotonic() - began
            log(
                f"step {done}/{config.steps}  loss {mean:.5f}  {aim.words.format(score)}{told}  "
                f"rate {rate_at(config, done - 1):.1e}  {seconds / 60:.1f} min"
            )
            seen = (*rounds, Round(command, describe_processor(config.exact), seconds / 3600))
            state = (network.state_dict(), average.state_dict(), optimizer.state_dict())
            beside = None if critic is None else critic.state()
            checkpoint.write(path, Checkpoint(config, done, seconds, seen, *state, beside))
    return Trained(average.cpu(), (*rounds, Round(command, describe_processor(config.exact), seconds / 3600)))


def aim_at(config: Config, held_out: list[Pair], more: Mapping[str, Loss] | None = None, share: float = 1) -> Aim:
    """The usual aim: the configuration's losses, and PSNR of luma on held-out pairs.

    `more` has the perceptual loss where one is asked for; `share` is that of the discriminator's channels.
    """
    weights = parse_losses(config.loss)
    return Aim(
        add_up(weights, more or {}),
        lambda network, device: validate(network, held_out, device),
        critic=Adversary(config.rate, config.seed, share) if ADVERSARIAL in weights else None,
        critic_weight=weights.get(ADVERSARIAL, 0.0),
    )


def resume(
    path: Path,
    config: Config,
    network: nn.Module,
    average: nn.Module,
    optimizer: torch.optim.Optimizer,
    critic: Adversary | None,
) -> tuple[int, float, tuple[Round, ...]]:
    """Fills all of them from the checkpoint; returns its step, seconds, and earlier rounds. Raises BadSetting."""
    saved = checkpoint.read(path)
    checkpoint.check_config(path, saved.config, config)
    try:
        network.load_state_dict(saved.network)
        average.load_state_dict(saved.average)
        optimizer.load_state_dict(saved.optimizer)
        if critic is not None:
            critic.resume(saved.critic or {})
    except (RuntimeError, KeyError, ValueError, TypeError, AttributeError) as error:
        raise BadSetting(f"{path} is damaged: what it holds does not fit its own configuration.") from error
    return saved.step, saved.seconds, saved.rounds[:-1]


@torch.no_grad()
def all_finite(*networks: nn.Module) -> bool:
    """Returns whether every parameter is a number."""
    return all(bool(value.isfinite().all()) for network in networks for value in network.parameters())


def describe_processor(exact: bool = False) -> str:
    """Returns what trains: the GPU's name, or the processor's with its threads and precision."""
    device, dtype = choose_device(exact)
    precision = str(dtype).removeprefix("torch.")
    if device.type == "cuda":
        return f"{torch.cuda.get_device_name()}, {precision}"
    capability, threads = torch.backends.cpu.get_cpu_capability(), torch.get_num_threads()
    return f"{machine.processor()} ({capability}), {threads} thread{'s' if threads > 1 else ''}, {precision}"


def rate_at(config: Config, step: int) -> float:
    """Returns the learning rate: a short linear warm-up, then a cosine down to a thousandth."""
    warm = min(1.0, (step + 1) / WARM_UP)
    return config.rate * warm * (0.001 + 0.999 * 0.5 * (1 + math.cos(math.pi * step / config.steps)))


def batch_at(config: Config, patches: Supply, step: int) -> tuple[int, int]:
    """Returns how many patches, and of which size, this step sees."""
    if step < LARGE_PATCHES_FROM * config.steps or 2 * config.patch > patches.largest:
        return config.batch, config.patch
    return max(1, config.batch // 2), 2 * config.patch


@torch.no_grad()
def update_average(average: nn.Module, network: nn.Module, step: int) -> None:
    """Moves the averaged weights a little towards the current ones; more so early on."""
    weight = 1 - min(EMA, step / (step + 10))
    torch._foreach_lerp_(list(average.parameters()), list(network.parameters()), weight)
    for kept, seen in zip(average.buffers(), network.buffers(), strict=True):
        kept.copy_(seen)  # batch normalisation averages by itself


@torch.inference_mode()
def validate(network: Callable[[torch.Tensor], torch.Tensor], pairs: list[Pair], device: torch.device) -> float:
    """Mean luma PSNR in dB, in float32, with the scale as border crop."""
    total = 0.0
    for each in pairs:
        low, high = (side[None].to(device).float() / 255 for side in (each.low, each.high))
        output = network(low.contiguous(memory_format=torch.channels_last))
        total += psnr_y(output, high, crop=high.shape[-1] // low.shape[-1])
    return total / len(pairs)
