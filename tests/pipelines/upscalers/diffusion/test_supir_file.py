"""SUPIR's networks, read from its file beside Stable Diffusion XL: as their authors' own code runs them."""

from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import AutoencoderKL, ControlNetModel, UNet2DConditionModel
from torch import Tensor

from pipelines.catalog.rows import find
from pipelines.networks.devices import Device
from pipelines.runs import finish
from pipelines.upscalers.diffusion import reading
from pipelines.upscalers.diffusion.adapted_unet import AdaptedUnet, make_layers
from pipelines.upscalers.diffusion.encoder import encode_picture
from pipelines.upscalers.diffusion.supir_file import SupirFile
from tests.support.released_parts import speckled
from tests.support.supir_parts import FILES, golden, save_supir


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = save_supir(tmp_path_factory.mktemp("supir"))
    return {str(path.relative_to(folder)): path for path in folder.rglob("*.*")}


@pytest.fixture(scope="module")
def unet(files: dict[str, Path]) -> UNet2DConditionModel:
    made: UNet2DConditionModel = reading.read_network(UNet2DConditionModel, files, "unet", torch.float32)
    return made


@pytest.fixture(scope="module")
def own(files: dict[str, Path]) -> SupirFile:
    return SupirFile(files[FILES["supir"].path])


def assert_golden(made: Tensor, name: str) -> None:
    expected = golden()[name]
    np.testing.assert_allclose(made.numpy(), expected, atol=1e-4 * max(1.0, float(expected.std())))
    assert expected.std() > 0.05


@pytest.fixture(scope="module")
def given() -> dict[str, Tensor]:
    """Latents with noise, a picture's, words, and what stands for them, as the authors' networks were given."""
    generator = torch.Generator().manual_seed(5)
    shapes = {"latents": (2, 4, 16, 24), "picture": (2, 4, 16, 24), "words": (2, 16, 40), "pooled": (2, 32)}
    return {name: torch.randn(shape, generator=generator) for name, shape in shapes.items()}


def test_network_that_leads(own: SupirFile, unet: UNet2DConditionModel, given: dict[str, Tensor]) -> None:
    control = own.read_control(unet, torch.float32)
    sizes = torch.tensor([[1024, 1024, 0, 0, 1024, 1024]] * 2)
    with torch.inference_mode():
        places, middle = control(
            given["latents"],
            431,
            given["words"],
            controlnet_cond=given["picture"],
            added_cond_kwargs={"text_embeds": given["pooled"], "time_ids": sizes},
            return_dict=False,
        )
    assert len(places) == 9
    for number, each in ((0, places[0]), (4, places[4]), (9, middle)):
        assert_golden(each[:, ::7, ::2, ::3], f"control {number}")


@pytest.mark.parametrize("strength", [1.0, 0.6])
def test_denoising_network_that_is_led(
    own: SupirFile, unet: UNet2DConditionModel, given: dict[str, Tensor], strength: float
) -> None:
    network = AdaptedUnet(unet, own.read_control(unet, torch.float32), own.read_layers(unet, torch.float32))
    seen = torch.cat([given["latents"], given["picture"]], dim=1)
    with torch.inference_mode():
        (made,) = network(seen, torch.tensor(431), given["words"], given["pooled"], torch.full((2,), strength))
    assert_golden(made[:, :, ::3, ::3], f"denoiser {strength}")


def test_led_by_nothing_it_is_stable_diffusion_xl(
    own: SupirFile, unet: UNet2DConditionModel, given: dict[str, Tensor]
) -> None:
    network = AdaptedUnet(unet, own.read_control(unet, torch.float32), own.read_layers(unet, torch.float32))
    sizes = torch.tensor([[1024, 1024, 0, 0, 1024, 1024]] * 2)
    with torch.inference_mode():
        seen = torch.cat([given["latents"], given["picture"]], dim=1)
        (made,) = network(seen, torch.tensor(431), given["words"], given["pooled"], torch.zeros(2))
        added = {"text_embeds": given["pooled"], "time_ids": sizes}
        plain = unet(given["latents"], 431, given["words"], added_cond_kwargs=added, return_dict=False)[0]
    torch.testing.assert_close(made, plain, atol=1e-5, rtol=1e-5)


def test_encoder_that_cleans(own: SupirFile, files: dict[str, Path]) -> None:
    vae = reading.read_network(AutoencoderKL, files, "vae", torch.float32)
    read = finish(encode_picture(own.read_cleaner(vae), speckled(64, 96), Device("cpu"), 64))
    assert_golden(read.mean, "cleaner")


def test_the_published_file_and_the_rows_count_are_those_of_networks_of_the_true_size() -> None:
    """Its header of names takes what is left of the file's size: less than 200 bytes for each of 1035 tensors."""
    sizes = {
        "block_out_channels": (320, 640, 1280),
        "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        "transformer_layers_per_block": (1, 2, 10),
        "attention_head_dim": (5, 10, 20),
        "cross_attention_dim": 2048,
        "use_linear_projection": True,
        "addition_embed_type": "text_time",
        "addition_time_embed_dim": 256,
        "projection_class_embeddings_input_dim": 2816,
    }
    up = ("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D")
    with torch.device("meta"):
        unet = UNet2DConditionModel(**sizes, up_block_types=up)
        control = ControlNetModel(**sizes)
        control.controlnet_cond_embedding = torch.nn.Conv2d(4, 320, 3, padding=1)
        control.controlnet_down_blocks, control.controlnet_mid_block = torch.nn.ModuleList(), torch.nn.Identity()
        layers = make_layers(unet)
        vae = AutoencoderKL(
            block_out_channels=(128, 256, 512, 512),
            down_block_types=("DownEncoderBlock2D",) * 4,
            up_block_types=("UpDecoderBlock2D",) * 4,
            layers_per_block=2,
            latent_channels=4,
        )
    assert len(layers.state_dict()) == 118
    own = [*control.state_dict().values(), *layers.state_dict().values(), *vae.encoder.state_dict().values()]
    count = sum(each.numel() for each in own)
    assert 0 < FILES["supir"].size - 2 * count < 200 * 1035
    base = sum(each.numel() for network in (unet, vae) for each in network.parameters())
    texts = 123_060_480 + 694_659_840
    assert find("supir").params[4] == find("supir-f").params[2] == count + base + texts
