"""Reading a model's parts: any folder that is not whole is one sentence, and nothing is asked of a network."""

import hashlib
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load, save

from pipelines.catalog.settings import Settings
from pipelines.errors import BadWeights, UpscaleError
from pipelines.networks.devices import Device
from pipelines.runs import finish
from pipelines.upscalers.diffusion.engine import build
from pipelines.weights import fetch as store
from tests.conftest import ROOT, smooth
from tests.support.diffusion_parts import MODEL, changed_json, loaded, paths

FILES = paths(MODEL)
SETTINGS = Settings(steps=1, prompt="a cat", colour_fix="none")
UNET, VAE, TEXT = (
    f"{part}.safetensors"
    for part in ("unet/diffusion_pytorch_model", "vae/diffusion_pytorch_model", "text_encoder/model")
)


@pytest.fixture
def folder(x4_folder: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(x4_folder, tmp_path / "parts"))


def pixels(folder: Path) -> np.ndarray:
    return finish(loaded(folder).run(smooth(8, 12), SETTINGS)).pixels


def state_of(path: Path) -> dict[str, torch.Tensor]:
    """In memory of its own: a file that is mapped into memory cannot be rewritten."""
    return load(path.read_bytes())


def rewritten(path: Path, change: Callable[[dict[str, torch.Tensor]], object]) -> None:
    state = state_of(path)
    change(state)
    path.write_bytes(save({key: value.contiguous() for key, value in state.items()}))


def without(path: Path, key: str) -> None:
    rewritten(path, lambda state: state.pop(key))


# --- what is read -------------------------------------------------------------------------------------------------


def test_files_may_lie_anywhere(x4_folder: Path, folder: Path, tmp_path: Path) -> None:
    """A Hub's snapshot is links into a folder of blobs; some files may have come from a mirror."""
    weights = MODEL.scales[4]
    assert weights is not None
    found = []
    for number, each in enumerate(store.from_user(weights, folder)):
        blob = tmp_path / f"{number:040x}"
        each.path.rename(blob)
        each.path.symlink_to(blob) if number % 2 else None
        found.append(replace(each, path=each.path if number % 2 else blob))
    moved = finish(build(MODEL, 4, tuple(found)).run(smooth(8, 12), SETTINGS)).pixels
    np.testing.assert_array_equal(moved, pixels(x4_folder))


def test_it_knows_its_files(x4_folder: Path) -> None:
    """Of a dozen those that hold what was learned; the others are settings."""
    upscaler = loaded(x4_folder)
    learned = [x4_folder / path for path in FILES if path.endswith(".safetensors")]
    hashes = [hashlib.sha256(path.read_bytes()).hexdigest() for path in learned]
    assert sorted(upscaler.weights_sha256) == sorted(hashes) and len(hashes) == 3
    assert upscaler.weights_bytes == sum(path.stat().st_size for path in learned)
    assert 4 * 20_000 < upscaler.nbytes < upscaler.weights_bytes


def test_names_of_old_are_understood(x4_folder: Path, folder: Path) -> None:
    """The published files' names of the autoencoder's attention, and their counted positions."""
    old = {".to_q.": ".query.", ".to_k.": ".key.", ".to_v.": ".value.", ".to_out.0.": ".proj_attn."}

    def older(state: dict[str, torch.Tensor]) -> None:
        for key in list(state):
            for new, name in old.items():
                if new in key:
                    state[key.replace(new, name)] = state.pop(key)

    rewritten(folder / VAE, older)
    assert any(".proj_attn." in key for key in state_of(folder / VAE))

    def prefixed(state: dict[str, torch.Tensor]) -> None:
        for key in list(state):
            state[f"text_model.{key}"] = state.pop(key)
        state["text_model.embeddings.position_ids"] = torch.arange(16)[None]

    rewritten(folder / TEXT, prefixed)
    np.testing.assert_array_equal(pixels(folder), pixels(x4_folder))


def test_half_precision_files_are_read(x4_folder: Path, folder: Path) -> None:
    for name in (UNET, VAE, TEXT):
        rewritten(folder / name, lambda state: state.update({key: value.half() for key, value in state.items()}))
    assert loaded(folder).parts(Device("cpu")).unet.dtype == torch.float32
    assert 0 < np.abs(pixels(folder) - pixels(x4_folder)).mean() < 0.01


def test_a_change_of_precision_reads_the_files_anew(x4_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    upscaler = loaded(x4_folder)
    exact = upscaler.parts(Device("cpu"))
    assert upscaler.parts(Device("cpu")) is exact
    assert upscaler.parts(Device("cpu", "bfloat16")).unet.dtype == torch.bfloat16
    again = upscaler.parts(Device("cpu"))
    assert again is not exact and len(upscaler.placed) == 1
    assert torch.equal(again.unet.conv_in.weight, exact.unet.conv_in.weight)


def test_loading_says_nothing(x4_folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    pixels(x4_folder)
    assert capfd.readouterr() == ("", "")


def test_the_engine_is_imported_without_its_libraries() -> None:
    libraries = "{'torch', 'diffusers', 'transformers'}"
    code = f"import sys, pipelines.upscalers.diffusion.engine; print({libraries} & set(sys.modules))"
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert answer.stdout == "set()\n"


# --- what is refused ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", FILES)
def test_a_file_that_lacks_is_named(path: str, folder: Path) -> None:
    (folder / path).unlink()
    with pytest.raises(UpscaleError, match=path):
        loaded(folder)


@pytest.mark.parametrize("path", FILES)
def test_a_set_without_a_file_is_refused(path: str, x4_folder: Path) -> None:
    weights = MODEL.scales[4]
    assert weights is not None
    rest = tuple(each for each in store.from_user(weights, x4_folder) if each.file.path != path)
    with pytest.raises(
        BadWeights, match=rf"lacks {path}\.$|{path.split('/')[0]} has no file of weights in safetensors\.$"
    ):
        build(MODEL, 4, rest)


@pytest.mark.parametrize("path", [path for path in FILES if "merges" not in path])
@pytest.mark.parametrize("content", [b"", b"[]", b"{", b"\xff" * 100, b"[" * 100_000], ids=range(5))
def test_a_file_of_something_else_is_refused(path: str, content: bytes, folder: Path) -> None:
    if content == b"[]" and path.endswith("tokenizer_config.json"):
        pytest.skip("it is one without settings")
    (folder / path).write_bytes(content)
    with pytest.raises(BadWeights, match=r"^(\S+(?: is| has)[^\n]*|tokenizer and [^\n]*)\.$"):
        loaded(folder)


@pytest.mark.parametrize("path", [UNET, VAE, TEXT])
def test_a_file_cut_short_is_refused(path: str, folder: Path) -> None:
    (folder / path).write_bytes((folder / path).read_bytes()[:-1000])
    with pytest.raises(BadWeights, match=rf"^{path} is damaged, or not in safetensors\.$"):
        loaded(folder)


def test_a_pickle_is_not_opened(folder: Path) -> None:
    torch.save(state_of(folder / UNET), folder / UNET)
    with pytest.raises(BadWeights, match=rf"^{UNET} is damaged, or not in safetensors\.$"):
        loaded(folder)


@pytest.mark.parametrize(
    ("path", "changes", "said"),
    [
        ("unet/config.json", {"_class_name": "UNet2DModel"}, "of another kind: it does not describe UNet2DCond"),
        ("vae/config.json", {"_class_name": "VQModel"}, "of another kind: it does not describe AutoencoderKL"),
        ("text_encoder/config.json", {"model_type": "t5"}, "is not that of a CLIP text encoder"),
        ("scheduler/scheduler_config.json", {"_class_name": "X"}, "does not describe DDIMScheduler or DDPM"),
        ("scheduler/scheduler_config.json", {"prediction_type": "sample"}, "neither of noise nor of velocity"),
        ("scheduler/scheduler_config.json", {"beta_schedule": "odd"}, "is not one that can be used"),
        ("low_res_scheduler/scheduler_config.json", {"_class_name": "DDIMScheduler"}, "does not describe DDPM"),
        ("low_res_scheduler/scheduler_config.json", {"num_train_timesteps": 100}, "knows too few levels of noise"),
        ("unet/config.json", {"cross_attention_dim": 24}, "differs"),
        (
            "unet/config.json",
            {"layers_per_block": 2},
            "is not of the network that unet/config.json describes: it lacks",
        ),
        ("unet/config.json", {"down_block_types": 7}, "is not one that can be used"),
        ("unet/config.json", {"attention_head_dim": "x"}, "is not one that can be used"),
        ("vae/config.json", {"layers_per_block": 0}, "has decoder.up_blocks"),
        ("unet/config.json", {"num_class_embeds": None}, "has class_embedding.weight too"),
        ("text_encoder/config.json", {"hidden_size": 15}, "is not one that can be used"),
        ("text_encoder/config.json", {"vocab_size": 3}, "embeddings.token_embedding.weight differs"),
    ],
    ids=str,
)
def test_settings_of_another_kind_are_refused(path: str, changes: dict[str, object], said: str, folder: Path) -> None:
    changed_json(folder / path, changes)
    with pytest.raises(BadWeights, match=said) as refused:
        loaded(folder)
    assert "\n" not in str(refused.value) and str(refused.value).endswith(".")


def test_a_parameter_that_lacks_or_is_too_many_is_named(folder: Path) -> None:
    without(folder / UNET, "conv_in.bias")
    with pytest.raises(BadWeights, match=r"unet/config\.json describes: it lacks conv_in\.bias\.$"):
        loaded(folder)
    rewritten(folder / UNET, lambda state: state.update({"conv_in.bias": torch.zeros(8), "more": torch.zeros(1)}))
    with pytest.raises(BadWeights, match=r"it has more too\.$"):
        loaded(folder)


@pytest.mark.parametrize("path", [UNET, VAE, TEXT])
def test_values_that_are_no_numbers_are_refused(path: str, folder: Path) -> None:
    key = sorted(state_of(folder / path))[0]
    rewritten(folder / path, lambda state: state[key].view(-1)[:1].fill_(torch.nan))
    with pytest.raises(BadWeights, match=rf"^{path} holds values that are no numbers or too large, in {key}\.$"):
        loaded(folder)


def test_words_that_the_encoder_does_not_know_are_refused(folder: Path) -> None:
    vocabulary = folder / "tokenizer" / "vocab.json"
    changed_json(vocabulary, {"another</w>": len(json.loads(vocabulary.read_text()))})
    with pytest.raises(BadWeights, match="tokenizer and text_encoder do not fit together"):
        loaded(folder)


def test_another_scale_is_refused(folder: Path) -> None:
    weights = MODEL.scales[4]
    assert weights is not None
    with pytest.raises(BadWeights, match=r"^The decoder of Tiny x4 upscales by 4, not by 2\.$"):
        build(replace(MODEL, scales={2: weights}), 2, store.from_user(weights, folder))
