"""How fast each model was where it was measured: believed until one was run here. Of diffusion models: `diffusion`."""

from collections.abc import Set
from dataclasses import dataclass, replace

from pipelines.catalog.schema import Tiling


@dataclass(frozen=True, slots=True)
class Rate:
    """Seconds for a megapixel that is read; tiles read what lies in their overlaps as often as they do.

    Of a diffusion model it is for each pass of its network: how many there are is a matter of settings.
    """

    seconds: float
    tiling: Tiling | None = None  # where the model is run in tiles
    device: str = "cpu"
    runs: int = 0  # on this machine, on that device, that it was learned from
    passes: int = 1  # as which a usual run was counted when it was learned


# Seconds that a run takes whatever the image's size, where they count: for a look at the image before it is upscaled,
# for bringing the colours back around a network of the luma, and for machine code for a new size.
FIXED_SECONDS = {
    "srcnn": 0.1,
    **{"nearest": 0.0015, "swift": 0.01, "cleaner": 0.015},
    **dict.fromkeys(("espcn", "fsrcnn", "fsrcnn-small"), 0.003),
}


# Rates on two cores of an Intel Xeon with AMX, where it makes a difference: networks run in bfloat16 there.
MEASURED_WITH_AMX = {
    ("swift", 2): Rate(0.5, Tiling(640, 10, 816)),
    ("swift", 3): Rate(1.15, Tiling(640, 15, 960)),
    ("swift", 4): Rate(1.0, Tiling(640, 13, 960)),
    ("cleaner", 1): Rate(0.3, Tiling(640, 25, 256)),
    **{(key, 2): Rate(8.0, Tiling(384, 10, 3_600, 128)) for key in ("real-esrgan", "real-esrgan-x2plus")},
    **{(key, 4): Rate(28.0, Tiling(192, 5, 14_000, 512)) for key in ("real-esrgan", "real-esrgan-x4plus")},
    ("real-esrgan", 8): Rate(62.0, Tiling(144, 5, 57_000, 512)),
    ("real-esrgan-x4plus-anime", 4): Rate(9.5, Tiling(192, 5, 14_000, 512)),
    ("srgan", 2): Rate(10.0, Tiling(640, 18, 2_560)),
    ("srgan", 4): Rate(35.0, Tiling(336, 18, 10_240)),
    ("srgan", 8): Rate(130.0, Tiling(160, 18, 40_960)),
    ("edsr", 2): Rate(40.0, Tiling(192, 4, 3_168, 1_536)),
    ("lapsrn", 2): Rate(0.8, Tiling(640, 12, 736)),
    ("lapsrn", 4): Rate(3.6, Tiling(624, 18, 2_944)),
    ("lapsrn", 8): Rate(18.0, Tiling(304, 21, 11_776)),
    **{("real-esrgan-general", scale): Rate(2.7, Tiling(640, 34 + 2 * (scale < 4), 960)) for scale in (2, 3, 4)},
    **{("real-esrgan-anime", scale): Rate(1.6, Tiling(640, 18 + 2 * (scale < 4), 960)) for scale in (2, 3, 4)},
}
# Measured at 400 x 400 on two cores of an AMD EPYC: what is believed until a model was run here.
MEASURED = {
    **{("nearest", scale): Rate(0.005 * scale**2) for scale in (2, 3, 4, 8)},
    **{("bilinear", scale): Rate(0.016 * scale**2) for scale in (2, 3, 4, 8)},
    **{("bicubic", scale): Rate(0.025 * scale**2) for scale in (2, 3, 4, 8)},
    **{("lanczos", scale): Rate(0.035 * scale**2) for scale in (2, 3, 4, 8)},
    ("espcn", 2): Rate(0.45, Tiling(640, 4, 608)),
    ("espcn", 3): Rate(0.5, Tiling(640, 4, 728)),
    ("espcn", 4): Rate(0.6, Tiling(640, 4, 896)),
    ("fsrcnn", 2): Rate(0.35, Tiling(640, 6, 544)),
    ("fsrcnn", 3): Rate(0.45, Tiling(640, 6, 664)),
    ("fsrcnn", 4): Rate(0.55, Tiling(640, 6, 832)),
    ("fsrcnn-small", 2): Rate(0.25, Tiling(640, 3, 352)),
    ("fsrcnn-small", 3): Rate(0.32, Tiling(640, 3, 472)),
    ("fsrcnn-small", 4): Rate(0.42, Tiling(640, 3, 640)),
    # Its robust network, the larger one at x2: which of them runs is known once the picture was looked at.
    ("swift", 2): Rate(1.3, Tiling(640, 10, 816)),
    ("swift", 3): Rate(3.1, Tiling(640, 15, 960)),
    ("swift", 4): Rate(2.9, Tiling(640, 13, 960)),
    ("cleaner", 1): Rate(1.8, Tiling(640, 25, 256)),
    ("srcnn", 2): Rate(6.4, Tiling(384, 6, 3_072)),
    ("srcnn", 3): Rate(13.5, Tiling(256, 5, 6_912)),
    ("srcnn", 4): Rate(23.7, Tiling(192, 4, 12_288)),
    ("lapsrn", 2): Rate(2.4, Tiling(640, 12, 736)),
    ("lapsrn", 4): Rate(12.0, Tiling(624, 18, 2_944)),
    ("lapsrn", 8): Rate(55.0, Tiling(304, 21, 11_776)),
    **{(key, 2): Rate(47.0, Tiling(384, 10, 3_600, 256)) for key in ("real-esrgan", "real-esrgan-x2plus")},
    **{(key, 4): Rate(184.0, Tiling(192, 5, 14_000, 1024)) for key in ("real-esrgan", "real-esrgan-x4plus")},
    ("real-esrgan", 8): Rate(230.0, Tiling(144, 5, 57_000, 1024)),
    ("real-esrgan-x4plus-anime", 4): Rate(59.0, Tiling(192, 5, 14_000, 1024)),
    **{("real-esrgan-general", scale): Rate(12.0, Tiling(640, 34 + 2 * (scale < 4), 960)) for scale in (2, 3, 4)},
    **{("real-esrgan-anime", scale): Rate(6.5, Tiling(640, 18 + 2 * (scale < 4), 960)) for scale in (2, 3, 4)},
    # In float32 whatever the processor; these on two cores of the Intel Xeon.
    ("span", 4): Rate(3.4, Tiling(640, 21, 1_200)),
    ("disp", 4): Rate(2.8, Tiling(640, 18, 832)),
    ("haesr", 4): Rate(50.0, Tiling(192, 2, 9_912, 1_920)),
    ("edsr-base", 2): Rate(14.0, Tiling(640, 36, 2_560)),
    ("edsr-base", 3): Rate(16.0, Tiling(448, 36, 5_760)),
    ("edsr-base", 4): Rate(25.0, Tiling(336, 36, 10_240)),
    **{("edsr-full", s): Rate(250.0 + 45 * s, Tiling(192, 4, 2_560 * s**2, 3_072)) for s in (2, 3, 4)},
}
# Times as fast as MEASURED is on two cores of an AMD EPYC that has AVX512-BF16 but no AMX: what runs in bfloat16 where
# the processor has it, and what stays in float32.
GAIN_OF_BFLOAT16, GAIN_OF_FLOAT32 = 3.0, 1.5
QUICKER_IN_BFLOAT16 = {*MEASURED_WITH_AMX, *(("srcnn", scale) for scale in (2, 3, 4))}


def believe(key: str, scale: int, features: Set[str]) -> Rate | None:
    """Returns the rate on a processor with such features, by Linux's names; None where it was never measured."""
    rate = MEASURED.get((key, scale))
    if "amx_bf16" in features:
        return MEASURED_WITH_AMX.get((key, scale)) or rate
    if rate is None or "avx512_bf16" not in features:
        return rate
    gain = GAIN_OF_BFLOAT16 if (key, scale) in QUICKER_IN_BFLOAT16 else GAIN_OF_FLOAT32
    return replace(rate, seconds=rate.seconds / gain)
