"""Decoding latents in tiles, against the autoencoder's own decoding of the whole."""

from typing import Any

import numpy as np
import pytest
import torch
from diffusers import AutoencoderKL
from torch import Tensor

from pipelines.errors import BadWeights, OutOfMemory
from pipelines.images.picture import Pixels
from pipelines.networks.devices import Device
from pipelines.networks.tiling import run_tiled
from pipelines.runs import finish
from pipelines.upscalers.diffusion import decoder, tiled_autoencoder
from tests.support.diffusion_parts import drawn, tiny_vae

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

    return finish(run_tiled(array, 4, each, side, tiled_autoencoder.AUTOENCODER_OVERLAP, feather=True)).pixels


def rms(difference: Pixels) -> float:
    return float(np.sqrt(np.square(difference).mean()))


@pytest.mark.parametrize("size", [(1, 1), (5, 40), (33, 64)])
def test_one_tile_is_the_autoencoders_own(size: tuple[int, int], vae: AutoencoderKL) -> None:
    done = finish(decoder.decode_latents(vae, uneven(*size), CPU, 64))
    assert (done.tiles, done.seam) == (1, None)
    np.testing.assert_array_equal(done.pixels, at_once(vae, uneven(*size)))


@pytest.mark.parametrize(("side", "size", "bound"), [(128, (150, 110), 0.12), (64, (100, 110), 0.15)])
def test_tiles_are_near_the_whole(side: int, size: tuple[int, int], bound: float, vae: AutoencoderKL) -> None:
    latents = uneven(*size)
    whole, shared = at_once(vae, latents), finish(decoder.decode_latents(vae, latents, CPU, side))
    error, error_alone = rms(shared.pixels - whole), rms(alone(vae, latents, side) - whole)
    assert shared.tiles > 1 and shared.pixels.shape == (4 * size[0], 4 * size[1], 3)
    assert error < bound * whole.std() and error < 0.4 * error_alone
    assert shared.seam is not None and shared.seam < 0.05
    assert np.abs((shared.pixels - whole).mean((0, 1))).max() < 0.02


@pytest.mark.parametrize("size", [(9, 150), (20, 90), (65, 65)])
def test_pictures_with_few_places_for_windows(size: tuple[int, int], vae: AutoencoderKL) -> None:
    """Narrower than a window, or so small that windows overlap."""
    whole, shared = at_once(vae, uneven(*size)), finish(decoder.decode_latents(vae, uneven(*size), CPU, 64))
    assert shared.tiles > 1 and rms(shared.pixels - whole) < 0.2 * whole.std()


def test_with_the_wholes_own_statistics_the_convolutions_are_exact(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without attention all that is left of the error is the sampling of the statistics."""
    torch.manual_seed(0)
    vae, latents = drawn(tiny_vae(mid_block_add_attention=False)), uneven(100, 90)

    def windows(self: Any) -> tiled_autoencoder.SharedLayers:
        sample = tiled_autoencoder._Sample(self.whole[None, ..., -1], [(0, length) for length in self.whole.shape[:2]])
        self.walk(self._tensor(self.whole[None]), sample.norm, sample.attend)
        return sample.shared

    monkeypatch.setattr(tiled_autoencoder._TileRunner, "_sample", windows)
    done = finish(decoder.decode_latents(vae, latents, CPU, 64))
    assert done.tiles > 1
    np.testing.assert_allclose(done.pixels, at_once(vae, latents), atol=5e-3)


def test_a_flat_picture_shows_no_grid(vae: AutoencoderKL) -> None:
    """Within the picture, where nothing but tiles could make a difference."""
    flat = torch.tensor([1.0, -2.0, 0.5, 3.0]).reshape(1, 4, 1, 1).expand(1, 4, 120, 120).contiguous()
    done = finish(decoder.decode_latents(vae, flat, CPU, 64)).pixels[100:-100, 100:-100]
    blocks = done.reshape(70, 4, 70, 4, 3)  # a flat latent's pixels may differ among themselves, in the same way all
    assert np.ptp(blocks, axis=(0, 2)).max() < 0.005


def test_nothing_is_left_in_the_autoencoder(vae: AutoencoderKL) -> None:
    """Two decodings at once must not see each other: the same latents give the same, whatever came between."""
    first = finish(decoder.decode_latents(vae, uneven(80, 70), CPU, 64)).pixels
    finish(decoder.decode_latents(vae, 5 * uneven(70, 90), CPU, 64))
    np.testing.assert_array_equal(finish(decoder.decode_latents(vae, uneven(80, 70), CPU, 64)).pixels, first)


def at_most(latents: int, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Memory for so many latents at once, in however many windows; filled by how many there were."""
    walk, seen = decoder._walk, list[int]()

    def short(vae: AutoencoderKL, given: Tensor, *rest: Any) -> Tensor:
        if given[:, 0].numel() > latents:
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory")
        seen.append(given[:, 0].numel())
        return walk(vae, given, *rest)

    monkeypatch.setattr(decoder, "_walk", short)
    return seen


@pytest.mark.parametrize("side", [64, 96])
@pytest.mark.parametrize("size", [(100, 110), (20, 200)])
def test_no_more_latents_are_in_memory_than_a_tile_has(
    side: int, size: tuple[int, int], vae: AutoencoderKL, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = at_most(side**2, monkeypatch)
    assert finish(decoder.decode_latents(vae, uneven(*size), CPU, side)).halved_to is None
    assert len(seen) > 2


def test_the_usual_sample_is_as_large_as_the_usual_tile(vae: AutoencoderKL, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = at_most(128**2, monkeypatch)
    finish(decoder.decode_latents(vae, uneven(130, 72), CPU, 128))
    assert seen[0] == 128**2 and max(seen[1:]) < 90**2


@pytest.mark.parametrize("most", [10_000, 4096, 56**2])
def test_too_little_memory_for_the_whole_is_tiles(
    most: int, vae: AutoencoderKL, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And a smaller sample: of as much as fits."""
    latents = uneven(120, 90)
    whole, seen = at_once(vae, latents), at_most(most, monkeypatch)
    done = finish(decoder.decode_latents(vae, latents, CPU, 128))
    assert seen[0] == (4096 if most > 4096 else most)
    assert done.halved_to is not None and done.halved_to < 90 and rms(done.pixels - whole) < 0.2 * whole.std()


def test_too_little_memory_for_the_smallest_sample_is_said(vae: AutoencoderKL, monkeypatch: pytest.MonkeyPatch) -> None:
    at_most(56**2 - 1, monkeypatch)
    with pytest.raises(OutOfMemory, match=r"^Not enough memory even for a tile of 32 pixels a side\.$"):
        finish(decoder.decode_latents(vae, uneven(120, 90), CPU, 128))


def test_what_is_no_number_is_said(vae: AutoencoderKL) -> None:
    latents = uneven(20, 20)
    latents[0, 0, 3, 3] = torch.nan
    with pytest.raises(BadWeights, match=r"^The decoder gives no finite numbers for this image\.$"):
        finish(decoder.decode_latents(vae, latents, CPU, 64))


def test_another_decoder_is_refused() -> None:
    blocks = ("UpDecoderBlock2D", "AttnUpDecoderBlock2D", "UpDecoderBlock2D")
    with pytest.raises(BadWeights, match="its decoder is built of layers that are not known here"):
        decoder.check_decoder(
            AutoencoderKL(
                block_out_channels=(8, 8, 8),
                up_block_types=blocks,
                norm_num_groups=4,
                down_block_types=("DownEncoderBlock2D",) * 3,
            )
        )
