"""The network of ResShift, against its authors' own."""

import numpy as np
import pytest
import torch

from pipelines.upscalers.diffusion.swin_unet import SwinUnet, SwinUnetSizes
from tests.support.released_parts import golden, released

SMALL = SwinUnetSizes(6, 3, (32, 64, 64, 128), 64, 2)
REAL = SwinUnetSizes(6, 3, (160, 320, 320, 640), 192, 6)


@pytest.fixture(scope="module")
def unet() -> SwinUnet:
    made = SwinUnet(SMALL)
    needed = made.state_dict().keys()
    made.load_state_dict({key: tensor for key, tensor in released("unet").items() if key in needed}, strict=True)
    return made.eval()


def test_it_predicts_what_the_authors_own_does(unet: SwinUnet) -> None:
    """Taller than wide: windows that have been moved are cut in the last row and not in the last column."""
    given = np.random.default_rng(3).standard_normal((1, 6, 128, 64)).astype(np.float32)
    with torch.inference_mode():
        (predicted,) = unet(torch.from_numpy(given), 3)
    np.testing.assert_allclose(predicted[:, :, ::5, ::3], golden()["network"], atol=1e-4)


def test_a_batch_is_as_one_by_one(unet: SwinUnet) -> None:
    tiles = torch.randn(2, 6, 64, 64, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        (together,) = unet(tiles, torch.tensor(2))
        alone = [unet(tile[None], 2)[0] for tile in tiles]
    torch.testing.assert_close(together, torch.cat(alone), atol=1e-5, rtol=0)


def test_at_its_true_size_it_has_as_many_parameters_as_published() -> None:
    with torch.device("meta"):
        network = SwinUnet(REAL)
    assert sum(parameter.numel() for parameter in network.parameters()) == 118_593_583
    assert len(network.state_dict()) == 564 - 24
