"""Networks that spandrel knows: each gives what spandrel's own call gives; what it cannot be used for is refused."""

import importlib
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from pipelines.catalog import rows as catalog
from pipelines.catalog.rows import Stage
from pipelines.catalog.settings import Settings
from pipelines.enlarge import enlarge_by
from pipelines.errors import BadWeights
from pipelines.images.picture import Picture, Pixels
from pipelines.networks import foreign
from pipelines.networks.checkpoints import read_network
from pipelines.networks.foreign import Foreign
from pipelines.networks.tiling import UNBOUNDED, UNKNOWN
from pipelines.runs import finish
from pipelines.upscalers import sides
from pipelines.upscalers.loading import load
from tests.conftest import smooth

if not foreign.is_installed():  # to import it, as importorskip does, fails without torchvision
    pytest.skip("spandrel is not installed", allow_module_level=True)
foreign.knows({})  # imports it, where torchvision may be lacking
from spandrel import MAIN_REGISTRY, ImageModelDescriptor  # noqa: E402  # once it can be

# What spandrel's architectures warn of as they are made.
pytestmark = [
    pytest.mark.filterwarnings("ignore:torch.meshgrid:UserWarning"),
    pytest.mark.filterwarnings("ignore:Initializing zero-element tensors:UserWarning"),
]

ROOT = Path(__file__).parents[3]
# By name: the folder and the class of spandrel's, and small sizes.
MADE: dict[str, tuple[str, str, dict[str, Any]]] = {
    "SPAN": ("SPAN", "SPAN", {"num_in_ch": 3, "num_out_ch": 3, "feature_channels": 12, "upscale": 2}),
    "DAT": ("DAT", "DAT", {"embed_dim": 32, "depth": [1], "num_heads": [2], "split_size": [4, 4], "upscale": 2}),
    "HAT": (
        "HAT",
        "HAT",
        {"embed_dim": 16, "depths": (1,), "num_heads": (2,), "window_size": 4, "squeeze_factor": 4, "upscale": 2},
    ),
    "SwinIR": (
        "SwinIR",
        "SwinIR",
        {"embed_dim": 12, "depths": [2], "num_heads": [2], "window_size": 8, "upscale": 2, "upsampler": "pixelshuffle"},
    ),
    "PLKSR": ("PLKSR", "PLKSR", {"dim": 16, "n_blocks": 2, "upscaling_factor": 2}),
    "RealPLKSR": ("PLKSR", "RealPLKSR", {"dim": 16, "n_blocks": 2, "upscaling_factor": 3}),
    "ATD": (
        "ATD",
        "ATD",
        {
            "embed_dim": 24,
            "depths": (2,),
            "num_heads": (2,),
            "window_size": 8,
            "num_tokens": 16,
            "upscale": 2,
            "upsampler": "pixelshuffledirect",
        },
    ),
    "OmniSR": ("OmniSR", "OmniSR", {"num_feat": 16, "up_scale": 2}),
    "RCAN": ("RCAN", "RCAN", {"scale": 2, "n_resgroups": 1, "n_resblocks": 2, "n_feats": 16, "reduction": 4}),
    "RealCUGAN": ("RealCUGAN", "UpCunet2x", {}),
    "SAFMN": ("SAFMN", "SAFMN", {"dim": 8, "n_blocks": 2, "ffn_scale": 2.0, "upscaling_factor": 4}),
    "DITN": ("DITN", "DITN", {"dim": 8, "upscale": 2}),
    "SCUNet": ("SCUNet", "SCUNet", {"dim": 64, "config": [1, 1, 1, 1, 1, 1, 1]}),
    "ESRGAN+": ("ESRGAN", "ESRGAN", {"num_filters": 8, "num_blocks": 1, "scale": 4, "plus": True}),
    "ESRGAN, grey": ("ESRGAN", "ESRGAN", {"in_nc": 1, "out_nc": 1, "num_filters": 8, "num_blocks": 1, "scale": 2}),
    "Compact, RGBA": ("Compact", "Compact", {"num_in_ch": 4, "num_out_ch": 4, "num_feat": 8, "num_conv": 2}),
}


def state_of(name: str) -> dict[str, Tensor]:
    folder, kind, options = MADE[name]
    torch.manual_seed(7)
    module = importlib.import_module(f"spandrel.architectures.{folder}")
    state: dict[str, Tensor] = getattr(module, kind)(**options).state_dict()
    return state


def saved(name: str, path: Path) -> Path:
    torch.save(state_of(name), path)
    return path


def by_spandrel(state: dict[str, Tensor], pixels: Pixels) -> Pixels:
    """The whole picture by spandrel's own call."""
    described = MAIN_REGISTRY.load(state)
    assert isinstance(described, ImageModelDescriptor)
    picture = torch.from_numpy(pixels).permute(2, 0, 1)[None]
    if described.input_channels == 1:
        made = torch.cat([described(picture[:, each : each + 1]) for each in range(3)], dim=1)
    elif described.input_channels == 4:
        made = described(torch.cat((picture, torch.ones_like(picture[:, :1])), dim=1))[:, :3]
    else:
        made = described(picture.contiguous())
    result: Pixels = made[0].permute(1, 2, 0).numpy()
    return result


@pytest.fixture(autouse=True)
def _exact(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UPSCALE_PRECISION", "exact")


@pytest.mark.parametrize("name", MADE)
def test_it_gives_what_spandrel_gives(name: str, tmp_path: Path) -> None:
    """Of a picture whose sides are no multiples, through the engine, in float32; and no tile makes it another one."""
    pixels, file = smooth(43, 38), saved(name, tmp_path / "own.pth")
    network = read_network(file)
    assert isinstance(network, Foreign) and network.arch in {each.architecture.name for each in MAIN_REGISTRY}
    stage = Stage("owner/name/own.pth", network.scale)
    done = finish(enlarge_by(Picture(pixels), [stage], own=file))
    np.testing.assert_allclose(done.picture.pixels, by_spandrel(state_of(name), pixels), atol=1e-5)
    assert done.picture.pixels.std() > 0.003 and done.details.tiles == 1 and done.details.dtype == "float32"
    assert f"own.pth holds a network of the architecture {network.arch}" in done.details.notes


def test_a_published_file(assets: Path) -> None:
    """Whose name spandrel itself would refuse, for its suffix."""
    network = read_network(assets / "weights" / "srgan" / "swift_srgan_4x.pth.tar")
    assert isinstance(network, Foreign) and network.scale == 4


def test_what_ours_knows_better_it_says(tmp_path: Path) -> None:
    """Of a file that both know and neither can use, what is wrong with it is said in our words."""
    state = state_of("ESRGAN+") | {"conv_first.weight": torch.ones(3)}
    torch.save(state, tmp_path / "own.pth")
    with pytest.raises(BadWeights, match=r"^own\.pth (is|does not|cannot)"):
        read_network(tmp_path / "own.pth")


def test_a_grey_picture_by_a_grey_network(tmp_path: Path) -> None:
    """Is run once, not for each channel."""
    pixels = np.repeat(smooth(20, 24)[..., :1], 3, axis=2)
    network = read_network(saved("ESRGAN, grey", tmp_path / "own.pth"))
    batch = torch.from_numpy(pixels).permute(2, 0, 1)[None]
    assert len(network.head(batch)) == 1 and len(network.head(torch.rand(2, 3, 8, 8))) == 6
    made = network(batch)[0].permute(1, 2, 0).numpy()
    np.testing.assert_allclose(made, by_spandrel(state_of("ESRGAN, grey"), pixels), atol=1e-5)


@pytest.mark.parametrize(
    ("name", "radius", "precisions"),
    [("SPAN", UNKNOWN, {"float16"}), ("SwinIR", UNBOUNDED, set()), ("DAT", UNKNOWN, set())],
)
def test_what_spandrel_says_of_tiles_and_precision_is_heeded(
    name: str, radius: int, precisions: set[str], tmp_path: Path
) -> None:
    network = read_network(saved(name, tmp_path / "own.pth"))
    assert (network.radius, set(network.precisions)) == (radius, precisions)
    assert network.floats_per_pixel > 30


def test_tiles_are_feathered_and_the_seam_is_told(tmp_path: Path) -> None:
    own = saved("OmniSR", tmp_path / "own.pth")
    done = finish(load("owner/name/own.pth", 2, own).run(smooth(130, 100), Settings(tile=80)))
    assert done.tiles > 1 and done.seam is not None and done.seam < 0.2


def test_what_works_on_whole_images_is_tiled_only_where_memory_is_short(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And the note says that the result is then another."""
    monkeypatch.setitem(sides.FEATHERED_SIDES, ("cpu", "float32"), 96)
    upscaler, pixels = load("owner/name/own.pth", 2, saved("SwinIR", tmp_path / "own.pth")), smooth(130, 100)
    whole = finish(upscaler.run(pixels, Settings()))
    assert whole.tiles == 1 and not [note for note in whole.notes if "whole images" in note]
    monkeypatch.setattr("pipelines.networks.devices.free_device_memory", lambda device: 0)
    tiled = finish(upscaler.run(pixels, Settings()))
    assert tiled.tiles > 1 and tiled.seam is not None
    assert "SwinIR works on whole images: in tiles its result differs from what it would be" in tiled.notes


@pytest.mark.parametrize("prefix", ["module.", "generator.", "model.net."])
def test_prefixes_and_wrappings(prefix: str, tmp_path: Path) -> None:
    state = {prefix + key: value for key, value in state_of("RCAN").items()}
    torch.save({"params": {}, "params_ema": state}, tmp_path / "own.pth")
    network = read_network(tmp_path / "own.pth")
    assert isinstance(network, Foreign) and network.arch == "RCAN"


def test_channels_that_are_no_colours_are_refused(tmp_path: Path) -> None:
    module = importlib.import_module("spandrel.architectures.SPAN")
    state = module.SPAN(num_in_ch=1, num_out_ch=3, feature_channels=12, upscale=2).state_dict()
    torch.save(state, tmp_path / "own.pth")
    with pytest.raises(BadWeights, match=r"^own\.pth \(SPAN\) cannot be used: it reads 1 channels and gives 3\.$"):
        read_network(tmp_path / "own.pth")


def test_two_inputs_are_refused() -> None:
    """An image and a mask of what is to be painted in, as LaMa has them."""
    state = importlib.import_module("spandrel.architectures.LaMa").LaMa(in_nc=4, out_nc=3).state_dict()
    with pytest.raises(
        BadWeights, match=r"^own\.pth \(LaMa\) cannot be used: it reads two inputs, an image and a mask"
    ):
        foreign.build(state, "own.pth")


def test_a_part_of_a_network_is_refused(tmp_path: Path) -> None:
    """Or one with a shape that does not fit, in one sentence whatever spandrel raises."""
    state = state_of("RCAN")
    key = next(each for each in state if each.endswith("tail.1.weight") or each.startswith("tail"))
    torch.save({name: value for name, value in state.items() if name != key}, tmp_path / "own.pth")
    with pytest.raises(BadWeights, match=r"^own\.pth is (damaged|belongs to another network)"):
        read_network(tmp_path / "own.pth")


def test_a_table_that_would_take_all_memory_is_refused(tmp_path: Path) -> None:
    """A window of 200 pixels a side means 1.6 * 10^9 places, from a table of 159 201 numbers."""
    state = state_of("SwinIR")
    (key,) = [each for each in state if each.endswith(".blocks.0.attn.relative_position_bias_table")]
    state[key] = torch.zeros((2 * 200 - 1) ** 2, 2)
    torch.save(state, tmp_path / "own.pth")
    with pytest.raises(BadWeights, match=r"^own\.pth is damaged, or of a kind of SwinIR that is not known\.$"):
        read_network(tmp_path / "own.pth")


def test_numbers_that_are_none_are_refused(tmp_path: Path) -> None:
    state = state_of("SAFMN")
    state[next(iter(state))][:] = torch.nan
    torch.save(state, tmp_path / "own.pth")
    with pytest.raises(BadWeights, match="holds values that are no numbers"):
        read_network(tmp_path / "own.pth")


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        (["model.diffusion_model.input_blocks.0.0.weight"], "is a checkpoint of Stable Diffusion, which does not"),
        (["lora_unet_down.lora_up.weight", "lora_unet_down.alpha"], "is a LoRA, an addition to another model, which"),
        (["spynet.basic_module.0.weight", "backward_resblocks.weight"], "belongs to another network: expected RRDB"),
    ],
)
def test_files_of_other_kinds_are_named(keys: list[str], said: str, tmp_path: Path) -> None:
    torch.save({key: torch.ones(2, 2) for key in keys}, tmp_path / "own.pth")
    with pytest.raises(BadWeights, match=f"^own.pth {said}"):
        read_network(tmp_path / "own.pth")


def test_without_spandrel_it_is_said_how_to_have_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = saved("DAT", tmp_path / "own.pth")
    monkeypatch.setattr(foreign, "is_installed", lambda: False)
    with pytest.raises(BadWeights, match=r"for 42 more, install the extra any \(pip install 'upscale-bench\[any\]'\)"):
        read_network(file)


BROKEN = 'raise RuntimeError("operator torchvision::nms does not exist")'


@pytest.mark.parametrize("broken", [False, True])
def test_torchvision_is_not_needed(broken: bool, tmp_path: Path) -> None:
    """Nor one that fails while it is imported; and nobody else is made to believe that there is one."""
    if broken:
        (tmp_path / "torchvision").mkdir()
        (tmp_path / "torchvision" / "__init__.py").write_text(BROKEN)
    code = (
        "import sys; from pipelines.networks import foreign; assert 'spandrel' not in sys.modules; "
        "assert foreign.knows({'conv_1.sk.weight': None}) in (True, False); assert 'spandrel' in sys.modules; "
        "print(sorted(name for name in sys.modules if name.startswith('torchvision')))"
    )
    paths = f"import sys; sys.path[:0] = [{str(tmp_path)!r}, {str(ROOT)!r}]; "
    done = subprocess.run([sys.executable, "-c", paths + code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() in ("[]",) or not broken


def test_a_models_own_network_needs_no_spandrel() -> None:
    """It is imported for files of other networks alone."""
    code = (
        "import sys; from pipelines.upscalers.loading import load; load('swift', 2); "
        "print([name for name in sys.modules if name.startswith('spandrel')])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_named_files_may_have_any_scale() -> None:
    assert tuple(catalog.find("owner/name/1x_a.pth").scales) == (1, 2, 3, 4, 8, 16)
    assert catalog.parse_stages("owner/name/1x_a.pth:1,swift:4")[0].scale == 1
