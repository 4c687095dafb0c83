"""A trained network becomes a bundled file: safetensors, and beside it a model card.

Half precision is used where it costs at most 0.01 dB on the held-out pictures.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import save

from pipelines.files import write_whole
from pipelines.networks.checkpoints import build_network
from training.branches import collapse
from training.checkpoint import Config
from training.data import SMALLER_COPIES, Pair
from training.degradations import HIGHEST_QUALITY, JPEG_SHARE, LOWEST_QUALITY, SHRINK_BY_KERNEL
from training.trainer import EMA, Trained, validate

HALF_MAY_COST = 0.01  # dB
ABOUT_NETWORK = {
    "swift": "A short stack of plain convolutions at low resolution (pipelines/networks/archs/swift.py).",
    "srcnn": "SRCNN 9-5-5 of Dong et al., TPAMI 2016, on bicubic-enlarged luma (pipelines/networks/archs/srcnn.py).",
}

DEGRADED = {
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


def export(trained: Trained, config: Config, held_out: list[Pair], story: Story, folder: Path) -> Path:
    """Writes the file and `.md`, named by the configuration's stem, into the folder; returns the file's path."""
    state = {key: value.contiguous() for key, value in collapse(trained.network).items()}
    cpu = torch.device("cpu")
    half = {key: value.half() for key, value in state.items()}
    exact, rounded = (validate(build_network(_float(each), config.network), held_out, cpu) for each in (state, half))
    use_half = exact - rounded <= HALF_MAY_COST
    path = folder / f"{config.stem}.safetensors"
    # One entry: of several the order would differ from run to run, and with it the file's hash.
    about = {"about": f"{config.network} x{config.scale}, {exact:.3f} dB on held-out pictures"}
    write_whole(path, save(half if use_half else state, metadata=about))
    cost = f"float16 (costs {exact - rounded:.4f} dB)" if use_half else "float32 (float16 would cost more than 0.01 dB)"
    write_whole(path.with_suffix(".md"), format_card(path, state, trained, config, story, cost, exact).encode())
    return path


def _float(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {key: value.float() for key, value in state.items()}


def format_card(
    path: Path, state: dict[str, torch.Tensor], trained: Trained, config: Config, story: Story, cost: str, psnr: float
) -> str:
    """The model card's text, without benchmark scores: `python -m training score` adds those."""
    network = build_network(state, path.name)
    return f"""# {path.stem}

{ABOUT_NETWORK[config.network]}

| | |
|-|-|
| scale | {config.scale} |
| parameters | {sum(each.numel() for each in network.parameters()):,} |
| receptive field's radius | {network.radius} low-resolution pixels |
| file | {path.name}, {path.stat().st_size:,} bytes, {cost} |
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
| loss | L1, mostly of luma |
| validation PSNR-Y | {psnr:.3f} dB |

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
