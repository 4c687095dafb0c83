"""Decoding latents in tiles, against the autoencoder's own decoding of the whole."""

from typing import Any

import numpy as np
import pytest
import torch
from diffusers import AutoencoderKL
from torch import Tensor

from pipelines.devices import Device
from pipelines.diffusion import decoder, sharing
from pipelines.errors import BadWeights
from pipelines.picture import Pixels
from pipelines.runs import finish
from pipelines.tiling import run_tiled
from tests.diffusion_parts import drawn, tiny_vae

CPU = Device("cpu")


@pytest.fixture(scope="module")
def vae() -> AutoencoderKL:
    torch.manual_seed(0)
    made: AutoencoderKL = drawn(tiny_vae())
    return made


def uneven(height: int, width: int) -> Tensor:
    """Latents that are flat on one side and busy on the other: tiles' own statistics differ widely."""
    rows, columns = np.mgrid[:height, :width]
    slow = np.stack([np.sin(rows / 30 + place) + np.cos(columns / 20 * place) for place in range(4)])
    busy = np.random.default_rng(2).standard_normal((4, height, width)) * (columns > width / 2)
    return torch.from_numpy(4 * slow + 3 * busy).float()[None]


def at_once(vae: AutoencoderKL, latents: Tensor) -> Pixels:
    with torch.inference_mode():
        return (vae.decode(latents).sample[0] / 2 + 0.5).clamp(0, 1).permute(1, 2, 0).numpy()


def alone(vae: AutoencoderKL, latents: Tensor, side: int) -> Pixels:
    """The same tiles, each decoded on its own."""
    array = latents[0].permute(1, 2, 0).contiguous().numpy()

    def each(batch: Pixels) -> Pixels:
        return at_once(vae, torch.from_numpy(batch).permute(0, 3, 1, 2))[None]

    return finish(run_tiled(array, 4, each, side, sharing.OVERLAP, feather=True)).pixels


def rms(difference: Pixels) -> float:
    return float(np.sqrt(np.square(difference).mean()))


@pytest.mark.parametrize("size", [(1, 1), (5, 40), (33, 64)])
def test_one_tile_is_the_autoencoders_own(size: tuple[int, int], vae: AutoencoderKL) -> None:
    done = finish(decoder.decode(vae, uneven(*size), CPU, 64))
    assert (done.tiles, done.seam) == (1, None)
    np.testing.assert_array_equal(done.pixels, at_once(vae, uneven(*size)))


def test_tiles_are_near_the_whole(vae: AutoencoderKL) -> None:
    latents = uneven(100, 110)
    whole, shared = at_once(vae, latents), finish(decoder.decode(vae, latents, CPU, 64))
    error, error_alone = rms(shared.pixels - whole), rms(alone(vae, latents, 64) - whole)
    assert shared.tiles == 6 and shared.pixels.shape == (400, 440, 3)
    assert error < 0.12 * whole.std() and error < 0.3 * error_alone
    assert shared.seam is not None and shared.seam < 0.05
    assert np.abs((shared.pixels - whole).mean((0, 1))).max() < 0.01


@pytest.mark.parametrize("size", [(9, 150), (20, 90), (65, 65)])
def test_pictures_with_few_places_for_windows(size: tuple[int, int], vae: AutoencoderKL) -> None:
    """Narrower than a window, or so small that windows overlap."""
    whole, shared = at_once(vae, uneven(*size)), finish(decoder.decode(vae, uneven(*size), CPU, 64))
    assert shared.tiles > 1 and rms(shared.pixels - whole) < 0.2 * whole.std()


def test_with_the_wholes_own_statistics_the_convolutions_are_exact(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without attention all that is left of the error is the sampling of the statistics."""
    torch.manual_seed(0)
    vae, latents = drawn(tiny_vae(mid_block_add_attention=False)), uneven(100, 90)

    def windows(self: Any) -> sharing.Shared:
        sample = sharing._Sample(self.whole[None, ..., -1], [(0, length) for length in self.whole.shape[:2]])
        self.walk(self._tensor(self.whole[None]), sample.norm, sample.attend)
        return sample.shared

    monkeypatch.setattr(sharing._Tiles, "_sample", windows)
    done = finish(decoder.decode(vae, latents, CPU, 64))
    assert done.tiles > 1
    np.testing.assert_allclose(done.pixels, at_once(vae, latents), atol=5e-3)


def test_a_flat_picture_shows_no_grid(vae: AutoencoderKL) -> None:
    """Within the picture, where nothing but tiles could make a difference."""
    flat = torch.tensor([1.0, -2.0, 0.5, 3.0]).reshape(1, 4, 1, 1).expand(1, 4, 120, 120).contiguous()
    done = finish(decoder.decode(vae, flat, CPU, 64)).pixels[100:-100, 100:-100]
    blocks = done.reshape(70, 4, 70, 4, 3)  # a flat latent's pixels may differ among themselves, in the same way all
    assert np.ptp(blocks, axis=(0, 2)).max() < 0.005


def test_nothing_is_left_in_the_autoencoder(vae: AutoencoderKL) -> None:
    """Two decodings at once must not see each other: the same latents give the same, whatever came between."""
    first = finish(decoder.decode(vae, uneven(80, 70), CPU, 64)).pixels
    finish(decoder.decode(vae, 5 * uneven(70, 90), CPU, 64))
    np.testing.assert_array_equal(finish(decoder.decode(vae, uneven(80, 70), CPU, 64)).pixels, first)


def test_too_little_memory_for_the_whole_is_tiles(vae: AutoencoderKL, monkeypatch: pytest.MonkeyPatch) -> None:
    walk = decoder._walk

    def short(vae: AutoencoderKL, latents: Tensor, *rest: Any) -> Tensor:
        if latents.shape[0] == 1 and latents.shape[2] > 100:
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory")
        return walk(vae, latents, *rest)

    monkeypatch.setattr(decoder, "_walk", short)
    done = finish(decoder.decode(vae, uneven(120, 90), CPU, 128))
    whole = at_once(vae, uneven(120, 90))
    assert done.halved_to == 57 and rms(done.pixels - whole) < 0.2 * whole.std()


def test_what_is_no_number_is_said(vae: AutoencoderKL) -> None:
    latents = uneven(20, 20)
    latents[0, 0, 3, 3] = torch.nan
    with pytest.raises(BadWeights, match=r"^The decoder gives no finite numbers for this picture\.$"):
        finish(decoder.decode(vae, latents, CPU, 64))


def test_another_decoder_is_refused() -> None:
    blocks = ("UpDecoderBlock2D", "AttnUpDecoderBlock2D", "UpDecoderBlock2D")
    with pytest.raises(BadWeights, match="its decoder is built of layers that are not known here"):
        decoder.check(
            AutoencoderKL(
                block_out_channels=(8, 8, 8),
                up_block_types=blocks,
                norm_num_groups=4,
                down_block_types=("DownEncoderBlock2D",) * 3,
            )
        )
