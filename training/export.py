"""A trained network becomes a bundled file: safetensors, and beside it a model card.

Half precision is used where it costs at most 0.01 dB (or 0.01 of the score) on the held-out pictures.
"""

import hashlib
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import cast

import torch
from safetensors.torch import save
from torch import nn

from pipelines.files import write_whole
from pipelines.networks.archs import estimate
from pipelines.networks.checkpoints import build_network
from training.checkpoint import Config
from training.data import SMALLER_COPIES, Pair
from training.degradations import (
    DAMAGE_SHARES,
    HIGHEST_QUALITY,
    JPEG_SHARE,
    LOWEST_DAMAGE_QUALITY,
    LOWEST_QUALITY,
    MOST_NOISE,
    SHRINK_BY_KERNEL,
)
from training.losses import l1
from training.networks import plain_state
from training.trainer import EMA, Aim, Trained, validate

HALF_MAY_COST = 0.01  # dB
ABOUT_NETWORK = {
    "swift": "A short stack of plain convolutions at low resolution (pipelines/networks/archs/swift.py).",
    "autoencoder": "A denoising autoencoder for noise and JPEG's blocks (pipelines/networks/archs/autoencoder.py).",
    "estimate": "Tells what was done to a picture: kernel, JPEG, noise (pipelines/networks/archs/estimate.py).",
    "srresnet": "SRResNet of Ledig et al., CVPR 2017 (pipelines/networks/archs/srgan.py).",
    "srgan": "SRGAN's generator, Ledig et al., CVPR 2017 (pipelines/networks/archs/srgan.py).",
    "rcan": "RCAN of Zhang et al., ECCV 2018 (pipelines/networks/archs/rcan.py).",
    "edsr-base": "EDSR baseline of Lim et al., CVPR Workshops 2017 (pipelines/networks/archs/edsr.py).",
    "srcnn": "SRCNN 9-5-5 of Dong et al., TPAMI 2016, on bicubic-enlarged luma (pipelines/networks/archs/srcnn.py).",
}

LOSS_WORDS = {
    "luma": "L1, mostly of luma",
    "psnr": "PSNR of RGB, each patch's own",
    "estimate": "cross-entropy of the kernel's class; L1 of quality and of the noise's logarithm",
}
DEGRADED = {
    "damaged": (
        f"nothing; {DAMAGE_SHARES[0] + DAMAGE_SHARES[2]:.0%} with Gaussian noise up to {MOST_NOISE:g} levels, "
        f"{DAMAGE_SHARES[1] + DAMAGE_SHARES[2]:.0%} as JPEG of quality {LOWEST_DAMAGE_QUALITY} to {HIGHEST_QUALITY}"
    ),
    "judged": f"one of {len(SHRINK_BY_KERNEL)} kernels at x2, x3 and x4, or as it is; noise, JPEG",
    "bicubic": "Pillow's antialiased bicubic",
    "mixed": (
        f"one of {len(SHRINK_BY_KERNEL)} kernels; "
        f"{JPEG_SHARE:.0%} as JPEG of quality {LOWEST_QUALITY} to {HIGHEST_QUALITY}"
    ),
}


@dataclass(frozen=True, slots=True)
class Story:
    """What the model card tells beyond the configuration and the rounds."""

    data: str
    late: str  # how many patches the last steps had, and of which size


def export(trained: Trained, config: Config, held_out: list[Pair] | Aim, story: Story, folder: Path) -> Path:
    """Writes the file and `.md`, named by the configuration's stem, into the folder; returns the file's path."""
    state = plain_state(trained.network, config)
    aim = held_out if isinstance(held_out, Aim) else Aim(l1, partial(_validate, held_out))
    half = {key: value.half() for key, value in state.items()}
    exact, rounded = (aim.score(_build(_float(each), config), torch.device("cpu")) for each in (state, half))
    use_half = exact - rounded <= HALF_MAY_COST
    path = folder / f"{config.stem}.safetensors"
    # One entry: of several the order would differ from run to run, and with it the file's hash.
    about = {"about": f"{config.network} x{config.scale}, {aim.words.format(exact)} on held-out pictures"}
    write_whole(path, save(half if use_half else state, metadata=about))
    cost = f"float16 (costs {exact - rounded:.4f})" if use_half else "float32 (float16 would cost more than 0.01)"
    card = format_card(path, state, trained, config, story, cost, aim.words.format(exact))
    write_whole(path.with_suffix(".md"), card.encode())
    return path


def _validate(held_out: list[Pair], network: nn.Module, device: torch.device) -> float:
    return validate(network, held_out, device)


def _build(state: dict[str, torch.Tensor], config: Config) -> nn.Module:
    if config.network == "estimate":
        return estimate.build(state)
    return cast(nn.Module, build_network(state, config.network))


def _float(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {key: value.float() for key, value in state.items()}


def format_card(
    path: Path, state: dict[str, torch.Tensor], trained: Trained, config: Config, story: Story, cost: str, score: str
) -> str:
    """The model card's text, without benchmark scores: `python -m training score` adds those."""
    network = _build(_float(state), config)
    radius = getattr(network, "radius", None)
    reach = "" if radius is None else f"| receptive field's radius | {radius} low-resolution pixels |\n"
    target = f"{config.teacher}, whose output is {config.teacher_share:.0%} of the target"
    teacher = f"| distilled from | {target} |\n" if config.teacher else ""
    return f"""# {path.stem}

{ABOUT_NETWORK[config.network]}

| | |
|-|-|
| scale | {config.scale} |
| parameters | {sum(each.numel() for each in network.parameters()):,} |
{reach}| file | {path.name}, {path.stat().st_size:,} bytes, {cost} |
| sha256 | {hashlib.sha256(path.read_bytes()).hexdigest()} |
| weights' licence | Apache-2.0, as the code; mind the training pictures' terms below |
| training pictures | {story.data} |
| of which held out | every 40th picture, for validation |
| low resolution made by | {DEGRADED[config.degradations]}, rounded to 8 bits |
| also shrunk by | {", ".join(map(str, SMALLER_COPIES[1:]))} |
| steps | {config.steps:,} of {config.batch} patches of {config.patch} px{story.late} |
| started from | {config.start or "random weights"} |
| schedule | Adam, rate {config.rate:g}, cosine; weights averaged with {EMA} |
| seed | {config.seed} |
{teacher}| loss | {LOSS_WORDS.get(config.loss, config.loss)} |
| validation | {score} |

{format_rounds(trained)}
"""


def format_rounds(trained: Trained) -> str:
    """Returns each round's command, processor and hours, in order.

    Each starts from the checkpoint of the one before.
    """
    return "\n\n".join(
        f"Round {number}, {each.hours:.2f} h on {each.processor}:\n\n```\n{each.command}\n```"
        for number, each in enumerate(trained.rounds, 1)
    )
