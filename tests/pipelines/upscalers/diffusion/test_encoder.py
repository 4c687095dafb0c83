"""Encoding a picture in tiles, against the autoencoder's own encoding of the whole."""

import numpy as np
import pytest
import torch
from diffusers import AutoencoderKL

from pipelines.errors import BadWeights
from pipelines.images.picture import Pixels
from pipelines.networks.devices import Device
from pipelines.runs import finish
from pipelines.upscalers.diffusion import encoder
from tests.support.diffusion_parts import drawn, tiny_vae_x8

CPU = Device("cpu")


@pytest.fixture(scope="module")
def vae() -> AutoencoderKL:
    torch.manual_seed(0)
    made: AutoencoderKL = drawn(tiny_vae_x8())
    return made


def uneven(height: int, width: int) -> Pixels:
    """Flat on one side and busy on the other, so that tiles' own statistics differ widely."""
    rows, columns = np.mgrid[:height, :width]
    slow = np.stack([0.5 + 0.3 * np.sin(rows / 90 + place) + 0.2 * np.cos(columns / 70) for place in range(3)], axis=2)
    busy = np.random.default_rng(2).standard_normal((height, width, 3)) * (columns > width / 2)[..., None]
    return np.clip(slow + 0.3 * busy, 0, 1).astype(np.float32)


def at_once(vae: AutoencoderKL, pixels: Pixels) -> torch.Tensor:
    with torch.inference_mode():
        return vae.encode(torch.from_numpy(pixels).permute(2, 0, 1)[None] * 2 - 1).latent_dist.parameters


@pytest.mark.parametrize("size", [(8, 8), (64, 320)])
def test_one_tile_is_the_autoencoders_own(size: tuple[int, int], vae: AutoencoderKL) -> None:
    pixels = uneven(*size)
    done = finish(encoder.encode_picture(vae, pixels, CPU, 64))
    torch.testing.assert_close(done.parameters, at_once(vae, pixels), atol=1e-6, rtol=0)


def test_tiles_are_near_the_whole(vae: AutoencoderKL) -> None:
    pixels = uneven(640, 720)
    whole, shared = at_once(vae, pixels), finish(encoder.encode_picture(vae, pixels, CPU, 64)).parameters
    assert shared.shape == (1, 8, 80, 90)
    assert (shared - whole).square().mean().sqrt() < 0.12 * whole.std()


def test_what_is_no_number_is_said() -> None:
    broken = drawn(tiny_vae_x8())
    broken.encoder.conv_in.weight.data[0, 0, 0, 0] = torch.nan
    with pytest.raises(BadWeights, match=r"^The encoder gives no finite numbers for this image\.$"):
        finish(encoder.encode_picture(broken, uneven(16, 16), CPU, 64))


def test_another_encoder_is_refused() -> None:
    blocks = ("DownEncoderBlock2D", "AttnDownEncoderBlock2D")
    other = AutoencoderKL(
        block_out_channels=(8, 8), down_block_types=blocks, up_block_types=("UpDecoderBlock2D",) * 2, norm_num_groups=4
    )
    with pytest.raises(BadWeights, match="its encoder is built of layers that are not known here"):
        encoder.check_encoder(other)
