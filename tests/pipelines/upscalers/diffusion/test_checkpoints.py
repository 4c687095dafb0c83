"""Networks read from Stable Diffusion's and DiffBIR's single files: as their authors' own code runs them."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from pipelines.catalog.rows import find
from pipelines.networks.checkpoints import read_network
from pipelines.networks.devices import Device
from pipelines.runs import finish
from pipelines.upscalers.diffusion.checkpoints import StableDiffusionFile, read_control, read_swin_ir
from pipelines.upscalers.diffusion.controlled import ControlledUnet
from pipelines.upscalers.diffusion.decoder import decode_latents
from pipelines.upscalers.diffusion.encoder import encode_picture
from pipelines.upscalers.diffusion.swin_ir import SwinIr, SwinIrSizes
from tests.support.diffbir_parts import FILES, golden, save_diffbir
from tests.support.released_parts import speckled

CHECKPOINT, CONTROL, SWIN_IR = (file.path for file in FILES["diffbir"].values())
CPU = Device("cpu")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("diffbir")
    for key in FILES:
        save_diffbir(made, key)
    return made


@pytest.fixture(scope="module")
def whole(folder: Path) -> StableDiffusionFile:
    return StableDiffusionFile(folder / CHECKPOINT)


def assert_golden(made: Tensor, name: str) -> None:
    expected = golden()[name]
    np.testing.assert_allclose(made.numpy(), expected, atol=1e-4 * max(1.0, float(expected.std())))
    assert expected.std() > 0.05


def embed(whole: StableDiffusionFile) -> Tensor:
    """Of no words, and of three tokens."""
    numbers = torch.zeros(2, 77, dtype=torch.long)
    numbers[:, 0], numbers[0, 1], numbers[1, 1:4] = 512, 513, torch.tensor([70, 300, 513])
    with torch.inference_mode():
        embedded: Tensor = whole.read_text_encoder()(numbers).last_hidden_state
    return embedded


def test_text_encoder(whole: StableDiffusionFile) -> None:
    assert_golden(embed(whole)[:, ::7, ::5], "text")


def test_denoising_network_under_control(whole: StableDiffusionFile, folder: Path) -> None:
    network = ControlledUnet(whole.read_unet(torch.float32), read_control(folder / CONTROL, torch.float32))
    generator = torch.Generator().manual_seed(5)
    latents, picture = (torch.randn(2, 4, 16, 24, generator=generator) for _ in range(2))
    with torch.inference_mode():
        (made,) = network(torch.cat([latents, picture], 1), torch.tensor(431), embed(whole), torch.full((2,), 0.8))
    assert_golden(made[:, :, ::3, ::3], "denoiser")


def test_autoencoder(whole: StableDiffusionFile) -> None:
    vae = whole.read_autoencoder()
    assert_golden(finish(encode_picture(vae, speckled(64, 96), CPU, 64)).mean, "encoded")
    generator = torch.Generator().manual_seed(5)
    _ = [torch.randn(2, 4, 16, 24, generator=generator) for _ in range(2)]
    decoded = finish(decode_latents(vae, torch.randn(1, 4, 8, 12, generator=generator), CPU, 64, clamp=False))
    assert_golden(torch.from_numpy(decoded.pixels * 2 - 1).permute(2, 0, 1)[None][:, :, ::4, ::4], "decoded")


def test_restorers(folder: Path) -> None:
    """Both sides have windows that are moved, and mask what came from the other border."""
    with torch.inference_mode():
        made = read_swin_ir(folder / SWIN_IR)(torch.from_numpy(speckled(128, 192)).permute(2, 0, 1)[None])
        assert_golden(made[:, :, 1::6, 2::6], "swin_ir_out")
        network = read_network(folder / "BSRNet.pth")
        enlarged = network(torch.from_numpy(speckled(20, 24)).permute(2, 0, 1)[None])
    assert_golden(enlarged[:, :, ::4, ::4], "bsrnet_out")


def test_parameters_of_the_row_are_those_of_networks_of_the_true_size() -> None:
    """Beside the restorer, which is SwinIR or BSRNet; the text encoder's last layer is not read."""
    unet, control, autoencoder, text = 865_910_724, 363_153_280, 83_653_863, 340_387_840
    with torch.device("meta"):
        swin_ir = SwinIr(
            SwinIrSizes(width=180, depths=(6,) * 8, heads=6, window=8, hidden=360, features=64, doublings=3)
        )
    restorers = {"diffbir": sum(each.numel() for each in swin_ir.parameters()), "diffbir-v2": 16_697_987}
    for key, restorer in restorers.items():
        assert find(key).params[4] == unet + control + autoencoder + text + restorer
