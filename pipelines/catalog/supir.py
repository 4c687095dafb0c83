"""SUPIR's two versions: a file of its own each, beside the files of Stable Diffusion XL.

Sizes and hashes of the latter are those that the Hub has at that revision. Of SUPIR's own files no hash has been
published by who made them.
"""

from types import MappingProxyType

from pipelines.catalog.schema import TILED, File, Hub, Model, Tiling, Weights
from pipelines.catalog.sizes import grow_to
from pipelines.catalog.specification import Options, Specification
from pipelines.catalog.tokenizer import tokenizer_files

TERMS, TERMS_URL = "supir", "https://github.com/Fanghua-Yu/SUPIR/blob/master/LICENSE"
BASE = Hub("stabilityai/stable-diffusion-xl-base-1.0", "462165984030d82259a11f4367a4eed129e94a7b")
PRUNED = Hub("Kijai/SUPIR_pruned", None)
OWN_FILES = tuple(
    File(f"SUPIR-v0{letter}_fp16.safetensors", 2_664_858_464, or_else=f"SUPIR-v0{letter}.ckpt") for letter in "QF"
)
SHORTEST = 1024  # pixels: as small as the shorter side may be of what the network denoises
# Stand behind each prompt, and for the negative one where there is none: the model learned from bad images too, which
# such words told of (section 3.2 of the paper).
QUALITY = "a sharp, detailed, realistic photo in high quality"
NEGATIVE = "blurry, noisy, dirty, low quality, JPEG artifacts, over-smooth, deformed, painting, cartoon"

# The authors' settings for fidelity, which are those of a run without any, theirs for quality (README), and what lies
# about in the middle: at "high" it is guided more, and so from the first step, more noise is added, and the control
# network leads less.
CREATIVITY = MappingProxyType(
    {
        "low": {"guidance": 4.0, "first_guidance": 1.0, "noise": 1.01, "strength": 1.0},
        "medium": {"guidance": 5.0, "first_guidance": 2.0, "noise": 1.015, "strength": 0.97},
        "high": {"guidance": 6.0, "first_guidance": 3.0, "noise": 1.02, "strength": 0.93},
    }
)


def _half(folder: str, name: str, config: int, size: int, sha256: str) -> tuple[File, File]:
    """The folder of a network in half precision; of one's own it may have the usual name."""
    whole = f"{folder}/{name}.safetensors"
    weights = File(f"{folder}/{name}.fp16.safetensors", size, sha256, or_else=whole)
    return File(f"{folder}/config.json", config), weights


STABLE_DIFFUSION_XL = Weights(
    (
        File("model_index.json", 609),
        *_half(
            "unet",
            "diffusion_pytorch_model",
            1_680,
            5_135_149_760,
            "83e012a805b84c7ca28e5646747c90a243c65c8ba4f070e2d7ddc9d74661e139",
        ),
        *_half(
            "vae",
            "diffusion_pytorch_model",
            642,
            167_335_342,
            "bcb60880a46b63dea58e9bc591abe15f8350bde47b405f9c38f4be70c6161e68",
        ),
        *_half(
            "text_encoder",
            "model",
            565,
            246_144_152,
            "660c6f5b1abae9dc498ac2d21e1347d2abdb0cf6c0c0c8576cd796491d9a6cdd",
        ),
        *_half(
            "text_encoder_2",
            "model",
            575,
            1_389_382_176,
            "ec310df2af79c318e24d20511b601a591ca8cd4f1fce1d8dff822a356bcdb1f4",
        ),
        *tokenizer_files(472, 737),
    ),
    (BASE,),
    pipeline="StableDiffusionXLPipeline",
)


def work_size(height: int, width: int, scale: int) -> tuple[int, int]:
    """Returns the height and the width at which a picture is denoised: the result's, or larger."""
    return grow_to(height * scale, width * scale, SHORTEST)


def _version(key: str, name: str, file: File, note: str) -> Specification:
    weights = Weights((file,), (PRUNED,))
    return Specification(
        model=Model(
            key=key,
            name=name,
            family="diffusion",
            engine="diffusion",
            scales={2: weights, 4: weights},
            licence="SUPIR license (non-commercial), OpenRAIL++-M",
            commercial=False,
            note=note,
            paper="Yu et al. 2024, arXiv:2401.13627",
            arch=key,
            params=MappingProxyType(dict.fromkeys((2, 4), 4_801_177_779)),
            takes=TILED
            | {"prompt", "negative_prompt", "steps", "guidance", "seed", "colour_fix", "strength", "start_point"}
            | {"creativity", "accept_licence"},
            tiles=(64, 1024),
            more=(STABLE_DIFFUSION_XL,),
            terms=TERMS,
            terms_url=TERMS_URL,
        ),
        module="pipelines.upscalers.diffusion.supir",
        # The authors' own (README), but for the words.
        options=Options(steps=50, guidance=4.0, negative_prompt=NEGATIVE, colour_fix="wavelet"),
        schedulers=(),
        schedule=MappingProxyType({"churn": 5.0, "noise": 1.01, "first_guidance": 1.0, "restoration": 4.0}),
        creativity=CREATIVITY,
        tiling=Tiling(256, 32, 70_000),
        encoding=2,
        decoding=1,
        # Counted: a pass over 1024 x 1024 pixels has 10 * 10^12 operations, the encoder 5 and the decoder 10. Seconds
        # are a belief from that, at what the others' networks were measured to do.
        seconds_on_cpu=1_300.0,
        seconds_on_gpu=4.6,
        given_at=4,
        works_at=work_size,
    )


SUPIR = (
    _version(
        "supir",
        "SUPIR",
        OWN_FILES[0],
        "Restores badly damaged photos and invents much detail. Takes a prompt. Very slow without a GPU. Not for "
        "commercial use: its licence must be accepted first.",
    ),
    _version(
        "supir-f",
        "SUPIR F",
        OWN_FILES[1],
        "SUPIR for photos with little damage: stays closer to them. Very slow without a GPU. Not for commercial use: "
        "its licence must be accepted first.",
    ),
)
