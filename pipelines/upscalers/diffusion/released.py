"""Reading networks from single files of PyTorch, by the names and shapes of their parameters: there are no settings."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from diffusers import VQModel
from diffusers.loaders.single_file_utils import convert_ldm_vae_checkpoint
from torch import Tensor

from pipelines.errors import BadWeights
from pipelines.networks.file import LARGEST_FILE, read_tensors, strip_prefixes
from pipelines.networks.shapes import find_largest
from pipelines.phrasing import list_names, printable_name
from pipelines.upscalers.diffusion.reading import as_bad_weights, copy_as, fill
from pipelines.upscalers.diffusion.swin_unet import SwinUnet, SwinUnetSizes

# By one of these a file is known to be of such a network.
_UNET_KEY, _AUTOENCODER_KEY = "input_blocks.1.1.patch_embed.proj.weight", "encoder.down.0.block.0.conv1.weight"
_CODEBOOK = "quantize.embedding.weight"
# Which nothing reads: both are counted anew, and averaging has left one of them inexact.
_UNREAD = (".relative_position_index", ".attn_mask")


def read_swin_unet(path: Path, dtype: torch.dtype) -> SwinUnet:
    """Reads the network of ResShift, on the processor in that precision.

    Raises BadWeights, with the file's name, where it is damaged or of another network.
    """
    name, state = printable_name(path), _read(path, dtype, _UNET_KEY, "the network of ResShift")
    state = {key: tensor for key, tensor in state.items() if not key.endswith(_UNREAD)}
    widths = tuple(read_size(state, f"input_blocks.{1 + 3 * level}.0.in_layers.2.weight", name) for level in range(4))
    sizes = SwinUnetSizes(
        read_size(state, "input_blocks.0.0.weight", name, 1),
        read_size(state, "out.2.weight", name),
        widths,
        read_size(state, _UNET_KEY, name),
        read_size(state, "input_blocks.1.1.blocks.0.attn.relative_position_bias_table", name, 1),
    )
    made: SwinUnet = _filled(lambda: SwinUnet(sizes), state, name, "the network of ResShift")
    return made


def read_vq_autoencoder(path: Path, dtype: torch.dtype) -> VQModel:
    """Reads an autoencoder with a codebook, whose parameters have the names of latent diffusion's own code.

    It is on the processor in that precision. Raises BadWeights, with the file's name, where it is damaged or of another
    network.
    """
    name, what = printable_name(path), "an autoencoder with a codebook"
    state = _read(path, dtype, _AUTOENCODER_KEY, what)
    levels = 1 + find_largest(r"encoder\.down\.(\d+)\.block\.0\.conv1\.weight", state)
    entries, width = read_size(state, _CODEBOOK, name), read_size(state, _CODEBOOK, name, 1)
    settings = {
        "block_out_channels": [
            read_size(state, f"encoder.down.{level}.block.0.conv1.weight", name) for level in range(levels)
        ],
        "down_block_types": ["DownEncoderBlock2D"] * levels,
        "up_block_types": ["UpDecoderBlock2D"] * levels,
        "layers_per_block": 1 + find_largest(r"encoder\.down\.0\.block\.(\d+)\.conv1\.weight", state),
        "latent_channels": read_size(state, "quant_conv.weight", name, 1),
        "num_vq_embeddings": entries,
        "vq_embed_dim": width,
    }
    converted = as_bad_weights(lambda: convert_ldm_vae_checkpoint(dict(state), settings), name)
    if _CODEBOOK in state:
        converted[_CODEBOOK] = state[_CODEBOOK]
    if len(converted) < len(state):
        raise BadWeights(f"{name} is not of {what}: it has more than that.")
    return _filled(lambda: VQModel(**settings), converted, name, what)


def _read(path: Path, dtype: torch.dtype, known: str, what: str) -> dict[str, Tensor]:
    """The same in memory of their own, without whole numbers."""
    name, state = printable_name(path), read_known(path, known, what)
    return {key: copy_as(tensor, dtype, key, name) for key, tensor in state.items() if tensor.is_floating_point()}


def read_known(path: Path, known: str, what: str, largest: int = LARGEST_FILE) -> dict[str, Tensor]:
    """Reads the file's parameters, whatever they are wrapped in, if `known` is one of them.

    They may share the file's memory. Raises BadWeights, with the file's name, where it is damaged, of another network
    than `what`, or larger than `largest` bytes.
    """
    tensors = read_tensors(path, largest)
    state = strip_prefixes(tensors, lambda state: known in state)
    if state is None:
        raise BadWeights(f"{printable_name(path)} is not of {what}: it has {list_names(tensors)}.")
    return state


def read_converted(
    make: Callable[[], Any],
    convert: Callable[[], Mapping[str, Tensor | None]],
    dtype: torch.dtype,
    name: str,
    what: str,
) -> Any:
    """The network that `make` makes, in that precision, with the file's numbers by its own names.

    `convert` gives these; one that is None is left out. Raises BadWeights, with the file's name, where they are not of
    the network.
    """
    converted = as_bad_weights(convert, name)
    state = {key: copy_as(each, dtype, key, name) for key, each in converted.items() if each is not None}
    return _filled(make, state, name, what)


def read_size(state: Mapping[str, Tensor], key: str, name: str, axis: int = 0) -> int:
    """Returns a parameter's length along an axis. Raises BadWeights, with the file's name, where it lacks."""
    if key not in state:
        raise BadWeights(f"{name} is not a whole network: it lacks {key}.")
    return state[key].shape[axis] if axis < state[key].ndim else 0


def _filled(make: Any, state: dict[str, Tensor], name: str, what: str) -> Any:
    """The network that `make` makes, with the numbers of the file."""
    with torch.device("meta"):
        bare = as_bad_weights(make, name)
    return fill(bare, state, f"{name} is not of {what}")
