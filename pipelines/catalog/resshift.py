"""ResShift's versions: a network and an autoencoder each, in single files of PyTorch as their authors released them.

No hash of a file has been published. Sizes are those of parameters and buffers in float32.
"""

from types import MappingProxyType

from pipelines.catalog.schema import TILED, File, Hub, Model, Tiling, Url, Weights
from pipelines.catalog.specification import Options, Specification

RELEASE = Url("https://github.com/zsyOAOA/ResShift/releases/download/v2.0")
MIRROR = Hub("OwlMaster/restorer_files", None)  # of all versions
MIRROR_OF_V3 = Hub("mirpri/LPNSR", None)
_AUTOENCODER = File("autoencoder_vq_f4.pth", 221_400_000)
_UNET_BYTES = 477_900_000
# What was trained in how many steps, and how much noise the first has ("min_noise_level" in the authors' settings).
_FIFTEEN = MappingProxyType({"levels": 15, "least_noise": 0.04, "kappa": 2.0, "power": 0.3})
_FOUR = MappingProxyType({"levels": 4, "least_noise": 0.2, "kappa": 2.0, "power": 0.3})


def _version(key: str, name: str, file: str, steps: int, note: str, paper: str, *mirrors: Hub) -> Specification:
    weights = Weights((File(file, _UNET_BYTES), _AUTOENCODER), (RELEASE, *mirrors))
    return Specification(
        model=Model(
            key=key,
            name=name,
            family="diffusion",
            engine="diffusion",
            scales={2: weights, 4: weights},
            licence="S-Lab License 1.0",
            commercial=False,
            note=note,
            paper=paper,
            arch=key,
            params=MappingProxyType({2: 173_916_365, 4: 173_916_365}),
            takes=TILED | {"steps", "seed", "colour_fix"},
            shrunk_from=4,
            tiles=(64, 512),
        ),
        module="pipelines.upscalers.diffusion.resshift",
        options=Options(steps=steps, colour_fix="none"),
        schedulers=(),
        schedule=_FOUR if steps == 4 else _FIFTEEN,
        most_steps=steps,
        tiling=Tiling(128, 16, 70_000),
        encoding=4,
        decoding=7,
        seconds_on_cpu=200.0,
        seconds_on_gpu=0.7,
    )


_PAPER = "Yue et al. 2023, arXiv:2307.12348"
_JOURNAL = "Yue et al. 2024, arXiv:2403.07319"

RESSHIFT = (
    _version(
        "resshift",
        "ResShift",
        "resshift_realsrx4_s4_v3.pth",
        4,
        "Diffusion in 4 steps for real photos: sharpens and invents texture without a prompt. Not for commercial use.",
        _JOURNAL,
        MIRROR,
        MIRROR_OF_V3,
    ),
    _version(
        "resshift-bicsr",
        "ResShift (bicubic)",
        "resshift_bicsrx4_s4.pth",
        4,
        "ResShift for clean images that were shrunk by bicubic, as in benchmarks. Not for commercial use.",
        _JOURNAL,
        MIRROR,
    ),
    _version(
        "resshift-v1",
        "ResShift v1",
        "resshift_realsrx4_s15_v1.pth",
        15,
        "The first ResShift, in 15 steps. Not for commercial use.",
        _PAPER,
        MIRROR,
    ),
    _version(
        "resshift-v2",
        "ResShift v2",
        "resshift_realsrx4_s15_v2.pth",
        15,
        "The second ResShift, in 15 steps. Not for commercial use.",
        _PAPER,
        MIRROR,
    ),
)
