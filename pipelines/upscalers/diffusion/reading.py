"""Reading a model's parts from the files of a repository in diffusers' layout.

Every part is read by the file that holds it, wherever that lies: nothing is asked of a network, nothing is unpickled,
and no more memory is taken than the parts need. What is wrong with a file is a BadWeights with its name.
"""

import inspect
import json
import re
import shutil
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeAlias, TypeVar

import torch
from diffusers.models.downsampling import KDownsample2D
from diffusers.models.upsampling import KUpsample2D
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection, CLIPTokenizer

from pipelines.errors import BadWeights
from pipelines.networks.forward import raising_memory_error
from pipelines.phrasing import list_names

Files: TypeAlias = Mapping[str, Path]
"""Where each file lies, by its path in the repository."""

TextEncoder = TypeVar("TextEncoder", CLIPTextModel, CLIPTextModelWithProjection)

SCHEDULER = "scheduler/scheduler_config.json"
TOKENIZER = ("vocab.json", "merges.txt", "tokenizer_config.json", "special_tokens_map.json")
WHOLE_TOKENIZER = "tokenizer.json"
TOKENIZER_NEEDS = TOKENIZER[:3]
# As diffusers called an autoencoder's attention until version 0.18: the published files still do.
_OLD_NAMES = (
    (re.compile(r"(\.attentions\.\d+)\.query\."), r"\1.to_q."),
    (re.compile(r"(\.attentions\.\d+)\.key\."), r"\1.to_k."),
    (re.compile(r"(\.attentions\.\d+)\.value\."), r"\1.to_v."),
    (re.compile(r"(\.attentions\.\d+)\.proj_attn\."), r"\1.to_out.0."),
)


def read_network(kind: Any, files: Files, part: str, dtype: torch.dtype) -> Any:
    """Reads a network of diffusers: frozen, on the processor in that precision."""
    config = f"{part}/config.json"
    settings = read_configuration(files, config, (kind.__name__,))
    with torch.device("meta"):  # shapes alone, until the file's numbers are put in their place
        bare = construct(kind, settings, config)
    for module in bare.modules():  # what these smooth by is in no file
        if isinstance(module, KDownsample2D | KUpsample2D):
            module.register_buffer("kernel", type(module)(module.pad_mode).kernel, persistent=False)
    return _filled(bare, files, part, dtype, _renamed)


def read_text_encoder(files: Files) -> CLIPTextModel:
    """Reads CLIP's text encoder, on the processor in float32."""
    encoder = _read_text_encoder(CLIPTextModel, files, "text_encoder", lambda key: key.removeprefix("text_model."))
    return count_positions(encoder)


def read_projected_text_encoder(files: Files) -> CLIPTextModelWithProjection:
    """Reads Stable Diffusion XL's second text encoder, which has a projection of the whole, as the first one."""
    return count_positions(_read_text_encoder(CLIPTextModelWithProjection, files, "text_encoder_2", str))


def _read_text_encoder(kind: Any, files: Files, part: str, rename: Callable[[str], str]) -> Any:
    config = f"{part}/config.json"
    settings = _json(files, config)
    if settings.get("model_type") not in ("clip_text_model", "clip"):
        raise BadWeights(f"{config} is not that of a CLIP text encoder.")
    with torch.device("meta"):
        bare = as_bad_weights(lambda: kind(CLIPTextConfig.from_dict(settings)), config)
    return _filled(bare, files, part, torch.float32, rename)


def count_positions(encoder: TextEncoder) -> TextEncoder:
    """Numbers the places of a text encoder that was filled from a file: not every file has those."""
    for module in encoder.modules():
        if "position_ids" in module._buffers:
            places = torch.arange(encoder.config.max_position_embeddings)[None]
            module.register_buffer("position_ids", places, persistent=False)
    return encoder


def read_tokenizer(files: Files) -> CLIPTokenizer:
    """Reads the tokenizer from copies of its small files in one folder, which is all that its class reads.

    Where transformers 5 saved it, one file stands in the place of three, and must have the name that it has there.
    """
    with TemporaryDirectory() as folder:
        for name in TOKENIZER:
            path = f"tokenizer/{name}"
            if path in files or name in TOKENIZER_NEEDS:
                source = _path(files, path)
                _copied(source, Path(folder, WHOLE_TOKENIZER if source.name == WHOLE_TOKENIZER else name), path)
        return as_bad_weights(lambda: CLIPTokenizer.from_pretrained(folder, local_files_only=True), "tokenizer")


def _copied(source: Path, target: Path, name: str) -> None:
    try:
        shutil.copyfile(source, target)
    except OSError as error:
        raise BadWeights(f"{name} cannot be read ({error.strerror}).") from error


def _filled(network: nn.Module, files: Files, part: str, dtype: torch.dtype, rename: Callable[[str], str]) -> Any:
    """The network with the numbers of its file: frozen, every parameter from there and of the right shape."""
    name = next((name for name in files if name.startswith(f"{part}/") and name.endswith(".safetensors")), None)
    if name is None:
        raise BadWeights(f"{part} has no file of weights in safetensors.")
    state = {rename(key): tensor for key, tensor in _state(_path(files, name), name, dtype).items()}
    return fill(network, state, f"{name} is not of the network that {part}/config.json describes")


def fill(network: nn.Module, state: dict[str, Tensor], otherwise: str) -> Any:
    """Puts numbers into a network of shapes alone: frozen, every parameter from there and of the right shape.

    `otherwise` is what to say before what is wrong, in the message of the BadWeights where they are of another.
    """
    needed = network.state_dict()
    lacking, unknown = needed.keys() - state.keys(), state.keys() - needed.keys()
    if lacking or unknown:
        which = f"lacks {list_names(lacking)}" if lacking else f"has {list_names(unknown)} too"
        raise BadWeights(f"{otherwise}: it {which}.")
    wrong = {key for key, tensor in state.items() if tensor.shape != needed[key].shape}
    if wrong:
        raise BadWeights(f"{otherwise}: {list_names(wrong)} differs.")
    network.load_state_dict(state, assign=True)
    return network.requires_grad_(False).eval()


def _state(path: Path, name: str, dtype: torch.dtype) -> dict[str, Tensor]:
    """The file's numbers in memory of their own, one after another in the precision asked for."""
    state = {}
    try:
        with safe_open(path, framework="pt", device="cpu") as file:
            for key in file.keys():  # noqa: SIM118  # it has no iterator
                tensor = file.get_tensor(key)
                if not tensor.is_floating_point():  # positions, which are counted anew
                    continue
                state[key] = copy_as(tensor, dtype, key, name)
    except (SafetensorError, OSError, ValueError) as error:
        raise BadWeights(f"{name} is damaged, or not in safetensors.") from error
    return state


def copy_as(tensor: Tensor, dtype: torch.dtype, key: str, name: str) -> Tensor:
    """The numbers in that precision and memory of their own.

    Raises BadWeights, with the file's name, where there are infinite ones.
    """
    # Channels last: convolutions are quicker so, and every layer keeps what it is given.
    order = torch.channels_last if tensor.ndim == 4 else torch.contiguous_format
    copied = tensor.detach().to(dtype, copy=True, memory_format=order)
    if not bool(torch.isfinite(copied).all()):
        raise BadWeights(f"{name} holds values that are no numbers or too large, in {list_names([key])}.")
    return copied


def _renamed(key: str) -> str:
    for pattern, replacement in _OLD_NAMES:
        key = pattern.sub(replacement, key)
    return key


def read_configuration(files: Files, name: str, kinds: Collection[str]) -> Mapping[str, Any]:
    """Reads the settings in a file that has to describe one of these classes."""
    settings = _json(files, name)
    if settings.get("_class_name") not in kinds:
        raise BadWeights(f"{name} is of another kind: it does not describe {' or '.join(kinds)}.")
    return settings


def _json(files: Files, name: str) -> dict[str, Any]:
    try:
        settings = json.loads(_path(files, name).read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise BadWeights(f"{name} is damaged, or not JSON.") from error
    if not isinstance(settings, dict):
        raise BadWeights(f"{name} is damaged: it holds no settings.")
    return settings


def _path(files: Files, name: str) -> Path:
    if name not in files:
        raise BadWeights(f"The model is not whole: it lacks {name}.")
    return files[name]


def construct(kind: Any, settings: Mapping[str, Any], name: str) -> Any:
    """Makes an object of that kind with those of the settings that its version here knows."""
    known = inspect.signature(kind.__init__).parameters
    return as_bad_weights(lambda: kind(**{key: value for key, value in settings.items() if key in known}), name)


def as_bad_weights(make: Callable[[], Any], name: str) -> Any:
    """Returns what `make` does; where it fails, the file is at fault, unless memory is short: then MemoryError."""
    try:
        with raising_memory_error():
            return make()
    except MemoryError:
        raise
    except Exception as error:  # whatever a class makes of settings that were never meant for it
        raise BadWeights(f"{name} is not one that can be used ({type(error).__name__}).") from error
