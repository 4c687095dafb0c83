"""The parts of Stable Diffusion x4, read from the files of a repository in diffusers' layout.

Every part is read by the file that holds it, wherever that lies: nothing is asked of a network, nothing is unpickled,
and no more memory is taken than the parts need. What is wrong with a file is a BadWeights with its name.
"""

import inspect
import json
import re
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeAlias

import torch
from diffusers import AutoencoderKL, DDIMScheduler, DDPMScheduler, DPMSolverMultistepScheduler, UNet2DConditionModel
from safetensors import SafetensorError, safe_open
from torch import Tensor
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

from pipelines.diffusion import decoder
from pipelines.errors import BadWeights
from pipelines.upscalers.ranges import NOISE_LEVEL

Files: TypeAlias = Mapping[str, Path]
"""Where each file lies, by its path in the repository."""

SCHEDULERS = {kind.__name__: kind for kind in (DDIMScheduler, DDPMScheduler, DPMSolverMultistepScheduler)}
PREDICTIONS = ("epsilon", "v_prediction")
TOKENIZER = ("vocab.json", "merges.txt", "tokenizer_config.json", "special_tokens_map.json")
_TOKENIZER_NEEDS = TOKENIZER[:3]
# As diffusers called an autoencoder's attention until version 0.18: the published files still do.
_OLD_NAMES = (
    (re.compile(r"(\.attentions\.\d+)\.query\."), r"\1.to_q."),
    (re.compile(r"(\.attentions\.\d+)\.key\."), r"\1.to_k."),
    (re.compile(r"(\.attentions\.\d+)\.value\."), r"\1.to_v."),
    (re.compile(r"(\.attentions\.\d+)\.proj_attn\."), r"\1.to_out.0."),
)
_NAMED = 3  # parameters in one sentence


@dataclass(frozen=True, slots=True, eq=False)
class Parts:
    """A model's parts, ready to run.

    `unet` is on the device, in its precision, `vae` beside it in float32; the text encoder stays on the processor in
    float32. The schedulers are configurations: each run makes its own, because they count steps.
    """

    unet: UNet2DConditionModel
    vae: AutoencoderKL
    text_encoder: CLIPTextModel
    tokenizer: CLIPTokenizer
    low_res: Mapping[str, Any]
    scheduler: Mapping[str, Any]

    @property
    def scaling(self) -> float:
        """What the network's latents are of the autoencoder's: a constant, whatever a file says, as in diffusers.

        The published files were made before an autoencoder's configuration had it, and would get another's.
        """
        return 0.08333

    @property
    def enlarges(self) -> int:
        """How many pixels a side the decoder makes of one in the latents."""
        return 1 << (len(self.vae.config.block_out_channels) - 1)

    @property
    def folds(self) -> int:
        """How many latents a side are one at the network's deepest level."""
        return 1 << (len(self.unet.config.block_out_channels) - 1)

    @property
    def nbytes(self) -> int:
        """Memory of the parameters."""
        networks = (self.unet, self.vae, self.text_encoder)
        return sum(parameter.nbytes for network in networks for parameter in network.parameters())


def read(files: Files, device: str, dtype: torch.dtype) -> Parts:
    """All parts. Raises BadWeights where a file lacks, is damaged, is of another kind, or does not fit the others."""
    parts = Parts(
        _network(UNet2DConditionModel, files, "unet", dtype).to(device),
        _network(AutoencoderKL, files, "vae", torch.float32).to(device),
        _text_encoder(files),
        _tokenizer(files),
        _configuration(files, "low_res_scheduler/scheduler_config.json", ("DDPMScheduler",)),
        _configuration(files, "scheduler/scheduler_config.json", tuple(SCHEDULERS)),
    )
    _check(parts)
    return parts


def low_res_scheduler(parts: Parts) -> DDPMScheduler:
    """What adds noise to the small picture."""
    return _made(DDPMScheduler, parts.low_res, "low_res_scheduler/scheduler_config.json")


def scheduler(parts: Parts, own: bool) -> Any:
    """DPM++ 2M (Lu et al. 2022, arXiv:2211.01095) over the model's noise; or the scheduler that its files name."""
    name = "scheduler/scheduler_config.json"
    if own:
        return _made(SCHEDULERS[parts.scheduler["_class_name"]], parts.scheduler, name)
    noise = ("num_train_timesteps", "beta_start", "beta_end", "beta_schedule", "trained_betas", "prediction_type")
    known = {key: parts.scheduler[key] for key in noise if parts.scheduler.get(key) is not None}
    return _made(DPMSolverMultistepScheduler, known, name)


def _check(parts: Parts) -> None:
    unet, latents = parts.unet.config, parts.vae.config.latent_channels
    width = parts.text_encoder.config.hidden_size
    if unet.in_channels != latents + 3 or unet.out_channels != latents:
        raise BadWeights(
            f"unet and vae do not fit together: the network reads {unet.in_channels} channels and gives "
            f"{unet.out_channels}, and the latents have {latents}."
        )
    if unet.cross_attention_dim != width:
        raise BadWeights(f"unet and text_encoder do not fit together: {unet.cross_attention_dim} and {width} values.")
    if not isinstance(unet.num_class_embeds, int) or unet.num_class_embeds <= NOISE_LEVEL[1]:
        raise BadWeights("unet is of another kind: it does not take the level of the noise in the small picture.")
    if parts.scheduler.get("prediction_type", "epsilon") not in PREDICTIONS:
        raise BadWeights("scheduler/scheduler_config.json names a prediction that is neither of noise nor of velocity.")
    if low_res_scheduler(parts).config.num_train_timesteps <= NOISE_LEVEL[1]:
        raise BadWeights("low_res_scheduler/scheduler_config.json knows too few levels of noise.")
    if len(parts.tokenizer) > parts.text_encoder.config.vocab_size:
        raise BadWeights("tokenizer and text_encoder do not fit together: it has more words than the encoder knows.")
    decoder.check(parts.vae)
    scheduler(parts, own=False)
    scheduler(parts, own=True)
    _tried(lambda: _once(parts), "unet/config.json")


def _once(parts: Parts) -> None:
    """Run the network on as little as it takes: it may want what it is not given here."""
    unet = parts.unet
    tile = torch.zeros((1, unet.config.in_channels, parts.folds, parts.folds), device=unet.device, dtype=unet.dtype)
    words = torch.zeros((1, 1, unet.config.cross_attention_dim), device=unet.device, dtype=unet.dtype)
    with torch.inference_mode():
        unet(tile, 1, encoder_hidden_states=words, class_labels=torch.zeros(1, dtype=torch.int64, device=unet.device))


def _network(kind: Any, files: Files, part: str, dtype: torch.dtype) -> Any:
    config = f"{part}/config.json"
    settings = _configuration(files, config, (kind.__name__,))
    with torch.device("meta"):  # shapes alone, until the file's numbers are put in their place
        network = _made(kind, settings, config)
    return _filled(network, files, part, dtype, _renamed)


def _text_encoder(files: Files) -> CLIPTextModel:
    config = "text_encoder/config.json"
    settings = _json(files, config)
    if settings.get("model_type") not in ("clip_text_model", "clip"):
        raise BadWeights(f"{config} is not that of a CLIP text encoder.")
    with torch.device("meta"):
        made = _tried(lambda: CLIPTextModel(CLIPTextConfig.from_dict(settings)), config)
    encoder = _filled(made, files, "text_encoder", torch.float32, lambda key: key.removeprefix("text_model."))
    for module in encoder.modules():  # positions are not in every file, but counted
        if "position_ids" in module._buffers:
            places = torch.arange(encoder.config.max_position_embeddings)[None]
            module.register_buffer("position_ids", places, persistent=False)
    return encoder


def _tokenizer(files: Files) -> CLIPTokenizer:
    """The tokenizer, read from copies of its small files in one folder, which is all that its class reads."""
    with TemporaryDirectory() as folder:
        for name in TOKENIZER:
            path = f"tokenizer/{name}"
            if path in files or name in _TOKENIZER_NEEDS:
                _copied(_path(files, path), Path(folder, name), path)
        return _tried(lambda: CLIPTokenizer.from_pretrained(folder, local_files_only=True), "tokenizer")


def _copied(source: Path, target: Path, name: str) -> None:
    try:
        shutil.copyfile(source, target)
    except OSError as error:
        raise BadWeights(f"{name} cannot be read ({error.strerror}).") from error


def _filled(network: Any, files: Files, part: str, dtype: torch.dtype, rename: Callable[[str], str]) -> Any:
    """The network with the numbers of its file: frozen, every parameter from there and of the right shape."""
    name = next((name for name in files if name.startswith(f"{part}/") and name.endswith(".safetensors")), None)
    if name is None:
        raise BadWeights(f"{part} has no file of weights in safetensors.")
    needed = network.state_dict()
    state = {rename(key): tensor for key, tensor in _state(_path(files, name), name, dtype).items()}
    lacking, unknown = needed.keys() - state.keys(), state.keys() - needed.keys()
    if lacking or unknown:
        which = f"lacks {_few(lacking)}" if lacking else f"has {_few(unknown)} too"
        raise BadWeights(f"{name} is not of the network that {part}/config.json describes: it {which}.")
    wrong = {key for key, tensor in state.items() if tensor.shape != needed[key].shape}
    if wrong:
        raise BadWeights(f"{name} is not of the network that {part}/config.json describes: {_few(wrong)} differs.")
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
                # Channels last: convolutions are quicker so, and every layer keeps what it is given.
                order = torch.channels_last if tensor.ndim == 4 else torch.contiguous_format
                state[key] = tensor.to(dtype, copy=True, memory_format=order)
                if not bool(torch.isfinite(state[key]).all()):
                    raise BadWeights(f"{name} holds values that are no numbers or too large, in {_few([key])}.")
    except (SafetensorError, OSError, ValueError) as error:
        raise BadWeights(f"{name} is damaged, or not in safetensors.") from error
    return state


def _renamed(key: str) -> str:
    for pattern, replacement in _OLD_NAMES:
        key = pattern.sub(replacement, key)
    return key


def _configuration(files: Files, name: str, kinds: tuple[str, ...]) -> Mapping[str, Any]:
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


def _made(kind: Any, settings: Mapping[str, Any], name: str) -> Any:
    """An object of that kind with those of the settings that its version here knows."""
    known = inspect.signature(kind.__init__).parameters
    return _tried(lambda: kind(**{key: value for key, value in settings.items() if key in known}), name)


def _tried(make: Callable[[], Any], name: str) -> Any:
    try:
        return make()
    except Exception as error:  # whatever a class makes of settings that were never meant for it
        raise BadWeights(f"{name} is not one that can be used ({type(error).__name__}).") from error


def _few(keys: Any) -> str:
    """Some names, fit for one line."""
    names = sorted(keys)
    named = ", ".join("".join(sign if sign.isprintable() else "?" for sign in key[:60]) for key in names[:_NAMED])
    return f"{named} and {len(names) - _NAMED} more" if len(names) > _NAMED else named
