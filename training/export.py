"""A trained network becomes a bundled file: safetensors, and beside it a model card.

Half precision is used where it costs at most 0.01 dB on the held-out pictures.
"""

import hashlib
import platform
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import save_file

from pipelines.checkpoints import network_of
from training.branches import collapsed
from training.data import SHRINKS, Pair
from training.trainer import EMA, Config, Trained, device_and_dtype, validate

HALF_MAY_COST = 0.01  # dB
ABOUT = {
    "swift": "A short stack of plain 3x3 convolutions at low resolution (pipelines/archs/swift.py).",
    "srcnn": "SRCNN 9-5-5 of Dong et al., TPAMI 2015, on bicubic-enlarged luma (pipelines/archs/srcnn.py).",
}


@dataclass(frozen=True, slots=True)
class Story:
    """What the model card tells beyond the configuration."""

    data: str
    command: str
    start: str


def export(trained: Trained, config: Config, held_out: list[Pair], story: Story, folder: Path) -> Path:
    """Write `<network>-x<scale>.safetensors` and `.md` into the folder; the path of the first."""
    state = {key: value.contiguous() for key, value in collapsed(trained.network).items()}
    cpu = torch.device("cpu")
    half = {key: value.half() for key, value in state.items()}
    exact, rounded = (validate(network_of(_float(each), config.network), held_out, cpu) for each in (state, half))
    use_half = exact - rounded <= HALF_MAY_COST
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{config.network}-x{config.scale}.safetensors"
    about = {"network": config.network, "scale": str(config.scale), "validation_psnr_y": f"{exact:.3f}"}
    save_file(half if use_half else state, path, metadata=about)
    cost = f"float16 (costs {exact - rounded:.4f} dB)" if use_half else "float32 (float16 would cost more than 0.01 dB)"
    path.with_suffix(".md").write_text(card(path, state, trained, config, story, cost, exact))
    return path


def _float(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {key: value.float() for key, value in state.items()}


def card(
    path: Path, state: dict[str, torch.Tensor], trained: Trained, config: Config, story: Story, cost: str, psnr: float
) -> str:
    """The model card's text, without benchmark scores: `python -m training score` adds those."""
    network = network_of(state, path.name)
    return f"""# {path.stem}

{ABOUT[config.network]}

| | |
|-|-|
| scale | {config.scale} |
| parameters | {sum(value.numel() for value in state.values()):,} |
| receptive field's radius | {network.radius} low-resolution pixels |
| file | {path.name}, {path.stat().st_size:,} bytes, {cost} |
| sha256 | {hashlib.sha256(path.read_bytes()).hexdigest()} |
| weights' licence | Apache-2.0, as the code; mind the training pictures' terms below |
| training pictures | {story.data} |
| of which held out | every 40th picture, for validation |
| low resolution made by | Pillow's antialiased bicubic, rounded to 8 bits |
| also shrunk by | {", ".join(map(str, SHRINKS[1:]))} |
| steps | {config.steps:,} of {config.batch} patches of {config.patch} px (last quarter: half as many, twice as large) |
| started from | {story.start} |
| schedule | Adam, rate {config.rate:g}, cosine; weights averaged with {EMA} |
| seed | {config.seed} |
| processor | {processor()} |
| hours | {trained.hours:.2f} |
| validation PSNR-Y | {psnr:.3f} dB |

```
{story.command}
```
"""


def processor() -> str:
    """What trained it: the GPU's name, or the processor's with its cores and precision."""
    device, dtype = device_and_dtype()
    if device.type == "cuda":
        return f"{torch.cuda.get_device_name()}, {dtype}".replace("torch.", "")
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    name = next((line.partition(": ")[2] for line in lines if line.startswith("model name")), platform.processor())
    capability = torch.backends.cpu.get_cpu_capability()
    return f"{name} ({capability}), {torch.get_num_threads()} thread(s), {dtype}".replace("torch.", "")
