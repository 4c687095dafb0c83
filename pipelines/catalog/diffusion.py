"""Diffusion models: the specification of each, whose files are a folder as diffusers saves one."""

from dataclasses import replace

from pipelines.catalog.diffbir import DIFFBIR
from pipelines.catalog.resshift import RESSHIFT
from pipelines.catalog.schema import TILED, File, Hub, Model, Tiling, Weights
from pipelines.catalog.settings import Settings
from pipelines.catalog.specification import Options, Specification
from pipelines.catalog.supir import SUPIR
from pipelines.catalog.tokenizer import STABLE_DIFFUSION_X4_SOURCES, STABLE_DIFFUSION_X4_TOKENIZER, tokenizer_files


def _text_encoder(config: int, weights: int, sha256: str | None, tokenizer: tuple[File, ...]) -> tuple[File, ...]:
    """The folders of CLIP's text encoder and tokenizer."""
    return (
        File("text_encoder/config.json", config),
        File("text_encoder/model.safetensors", weights, sha256),
        *tokenizer,
    )


def _network(
    folder: str, config: int, weights: int, sha256: str | None = None, half: bool = False
) -> tuple[File, File]:
    """A network's folder as diffusers saves it; of one in half precision, one's own may have the usual name."""
    whole = f"{folder}/diffusion_pytorch_model.safetensors"
    path = f"{folder}/diffusion_pytorch_model.fp16.safetensors" if half else whole
    return (File(f"{folder}/config.json", config), File(path, weights, sha256, or_else=whole if half else ""))


# Where the figures below come from. What a tile holds in memory is the decoder's, which works in float32 on every
# device: measured with Stable Diffusion x4, and the others' decoders end in the same layers, for as many enlarged
# pixels. What comes before and after denoising is counted by operations: for 512 x 512 enlarged pixels those of the
# networks are 1.1, 0.32 and 0.33 * 10^12, of the decoders 3.1, 2.5 and 3.1, of the encoder 0.28. Seconds on a CPU were
# measured where those in `speeds` were, by networks of the true size with random parameters, over a tile of 128
# latents. Those on a GPU are a belief, not measured: as many operations (69, 4.9 and 20 * 10^12 for a megapixel) at
# 35 * 10^12 a second.

STABLE_DIFFUSION_X4 = Specification(
    model=Model(
        key="sd-x4",
        name="Stable Diffusion x4",
        family="diffusion",
        engine="diffusion",
        scales={
            4: Weights(
                (
                    File("model_index.json", 485),
                    File("scheduler/scheduler_config.json", 348),
                    File("low_res_scheduler/scheduler_config.json", 300),
                    *_text_encoder(
                        634,
                        1_361_597_018,
                        sha256="cce6febb0b6d876ee5eb24af35e27e764eb4f9b1d0b7c026c8c3333d4cfc916c",
                        tokenizer=STABLE_DIFFUSION_X4_TOKENIZER,
                    ),
                    *_network(
                        "unet",
                        982,
                        1_893_675_621,
                        sha256="b6dc05aaae1ba43c230612932492a81e431126582481fd6c7d94c6b15f9ce584",
                    ),
                    *_network(
                        "vae",
                        587,
                        221_326_504,
                        sha256="33478c297ec29218100f8ee86007b3ab4c2701896d5ca5c9e3a84fc29f678183",
                    ),
                ),
                STABLE_DIFFUSION_X4_SOURCES,
                pipeline="StableDiffusionUpscalePipeline",
            )
        },
        licence="OpenRAIL++-M",
        commercial=True,
        note="Adds detail that your words describe. Slow without a GPU. Its licence forbids some uses.",
        paper="Rombach et al. 2022, arXiv:2112.10752",
        arch="sd-x4",
        takes=TILED
        | {"prompt", "negative_prompt", "steps", "guidance", "noise_level", "creativity", "seed", "colour_fix"},
        tiles=(32, 512),
    ),
    module="pipelines.upscalers.diffusion.sd_x4",
    # Its publisher's (Hub: stabilityai/stable-diffusion-x4-upscaler), but for the steps: DPM++ 2M needs 20 where the
    # scheduler in the files takes 75.
    options=Options(steps=20, guidance=9.0, noise_level=20, colour_fix="wavelet"),
    schedulers=("DDIMScheduler", "DDPMScheduler", "DPMSolverMultistepScheduler"),
    better_scheduler="DPMSolverMultistepScheduler",
    creativity={"low": {"noise_level": 20}, "medium": {"noise_level": 100}, "high": {"noise_level": 200}},
    tiling=Tiling(128, 16, 70_000),
    encoding=0,
    decoding=3,
    seconds_on_cpu=550.0,
    seconds_on_gpu=2.0,
    seconds_in_bfloat16=90.0,
)

STABLE_DIFFUSION_X2 = Specification(
    model=Model(
        key="sd-x2",
        name="Stable Diffusion x2",
        family="diffusion",
        engine="diffusion",
        scales={
            2: Weights(
                (
                    File("model_index.json", 408),
                    File("scheduler/scheduler_config.json", 301),
                    *_text_encoder(645, 492_000_000, sha256=None, tokenizer=tokenizer_files(472, 831)),
                    *_network(
                        "unet",
                        1_230,
                        1_490_000_000,
                        sha256="373ac96d863d7c2acd2cbeca16b21c980235f2e5d4d9bfbaafa8c0d7f627e28f",
                    ),
                    *_network("vae", 653, 335_000_000),
                ),
                (Hub("stabilityai/sd-x2-latent-upscaler", "1f2883b22f62cfb29323770ba9cfdcf601757bd3"),),
                pipeline="StableDiffusionLatentUpscalePipeline",
            )
        },
        licence="OpenRAIL++-M",
        commercial=True,
        note="Smooths what another diffusion model made. For the end of a chain. Its licence forbids some uses.",
        paper="Rombach et al. 2022, arXiv:2112.10752",
        arch="sd-x2",
        takes=TILED | {"prompt", "negative_prompt", "steps", "guidance", "seed"},
        tiles=(128, 2048),  # four pixels a latent
    ),
    module="pipelines.upscalers.diffusion.sd_x2",
    # As its documentation has it, where guidance 0 means no words either; its pipeline's own are 75 steps and 9.
    options=Options(steps=20),
    schedulers=("EulerDiscreteScheduler",),
    tiling=Tiling(512, 64, 17_500),  # four pixels a latent
    encoding=1,
    decoding=8,
    seconds_on_cpu=36.0,
    seconds_on_gpu=0.14,
)

LATENT_DIFFUSION_X4 = Specification(
    model=Model(
        key="ldm-x4",
        name="Latent diffusion x4",
        family="diffusion",
        engine="diffusion",
        scales={
            4: Weights(
                (
                    File("model_index.json", 248),
                    File("scheduler/scheduler_config.json", 286),
                    *_network(
                        "unet",
                        873,
                        227_280_286,
                        sha256="b369482570c4a798a3522aacf94aee557305005aecaa96d34fb108d975de481f",
                        half=True,
                    ),
                    *_network(
                        "vqvae",
                        713,
                        110_668_188,
                        sha256="b9e501d1cf3f08775380bf6a4676bdced4f1896963cb9c41db550631c6c9e71c",
                        half=True,
                    ),
                ),
                (Hub("CompVis/ldm-super-resolution-4x-openimages", "0b55ddf931a8e3a1b426b3a50ddcf325ff84f668"),),
                pipeline="LDMSuperResolutionPipeline",
            )
        },
        licence="Apache-2.0",
        commercial=True,
        note="Latent diffusion without a prompt. Invents plausible texture. Slow without a GPU.",
        paper="Rombach et al. 2022, arXiv:2112.10752",
        arch="ldm-x4",
        takes=TILED | {"steps", "seed"},
        tiles=(32, 512),
    ),
    module="pipelines.upscalers.diffusion.ldm_x4",
    options=Options(steps=100),
    schedulers=("DDIMScheduler",),
    tiling=Tiling(128, 16, 70_000),
    encoding=0,
    decoding=9,
    seconds_on_cpu=160.0,
    seconds_on_gpu=0.56,
)

SPECIFICATIONS = (STABLE_DIFFUSION_X4, STABLE_DIFFUSION_X2, LATENT_DIFFUSION_X4, *RESSHIFT, *DIFFBIR, *SUPIR)
DIFFUSION = tuple(each.model for each in SPECIFICATIONS)


def find_specification(model: Model) -> Specification:
    """Looks up the specification of a diffusion model's row, by its `arch`."""
    return next(each for each in SPECIFICATIONS if each.model.arch == model.arch)


def seen_pixels(key: str, scale: int, width: int, height: int) -> tuple[int, int]:
    """Returns how wide and high a picture would be whose enlargement is as large as what the model's network works at.

    For all but some diffusion models that is the picture itself.
    """
    works_at = next((each.works_at for each in SPECIFICATIONS if each.model.key == key), None)
    tall, wide = works_at(height, width, scale) if works_at else (height * scale, width * scale)
    return -(-wide // scale), -(-tall // scale)


def resolve_options(model: Model, settings: Settings) -> Options:
    """Returns the model's own options, changed by the settings that were given. Blanks around a prompt do not count.

    A creativity stands for settings that were not given themselves, and is kept only where they do not say all of it:
    however it was asked for, the same run has the same options. Steps are at most as many as the model knows: one
    number is for all stages of a chain.
    """
    given = {name: getattr(settings, name) for name in settings.given() & set(Options.__dataclass_fields__)}
    stripped = {name: value.strip() for name, value in given.items() if isinstance(value, str)}
    specified = find_specification(model)
    options = replace(specified.options, **{**specified.steered(settings.creativity), **given, **stripped})
    if not specified.rescheduled(options.creativity):
        options = replace(options, creativity=None)
    return replace(options, steps=min(options.steps, specified.most_steps or options.steps))
