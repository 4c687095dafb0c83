"""Diffusion models, each a folder as diffusers saves one."""

from pipelines.catalog.schema import TILED, File, Hub, Model, Weights


def _text_encoder(config: int, weights: int, sha256: str | None, tokenizer: tuple[int, int]) -> tuple[File, ...]:
    """The folders of CLIP's text encoder and tokenizer; of the tokenizer the sizes of its two configurations.

    Where transformers 5 saves a tokenizer, one file holds what used to be three.
    """
    whole = "tokenizer/tokenizer.json"
    special, settings = tokenizer
    return (
        File("text_encoder/config.json", config),
        File("text_encoder/model.safetensors", weights, sha256),
        File("tokenizer/vocab.json", 1_059_962, or_else=whole),
        File("tokenizer/merges.txt", 524_619, or_else=whole),
        File("tokenizer/special_tokens_map.json", special, or_else=whole),
        File("tokenizer/tokenizer_config.json", settings),
    )


def _network(folder: str, config: int, weights: int, sha256: str | None = None) -> tuple[File, File]:
    """A network's folder as diffusers saves it."""
    return (
        File(f"{folder}/config.json", config),
        File(f"{folder}/diffusion_pytorch_model.safetensors", weights, sha256),
    )


DIFFUSION = (
    Model(
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
                        tokenizer=(460, 825),
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
                (
                    Hub("stabilityai/stable-diffusion-x4-upscaler", "572c99286543a273bfd17fac263db5a77be12c4c"),
                    Hub("AVIIAX/upscale", "476ee8c8c27f607ab57730174419be887db883da"),
                    Hub("g8nz/stable-diffusion-x4-upscaler", None),
                ),
                pipeline="StableDiffusionUpscalePipeline",
            )
        },
        licence="OpenRAIL++-M",
        commercial=True,
        note="Invents detail that your words ask for. Slow without a GPU; its licence forbids some uses.",
        paper="Rombach et al. 2022, arXiv:2112.10752",
        arch="sd-x4",
        takes=TILED | {"prompt", "negative_prompt", "steps", "guidance", "noise_level", "seed", "colour_fix"},
        tiles=(32, 512),
    ),
    Model(
        key="sd-x2",
        name="Stable Diffusion x2 (latent)",
        family="diffusion",
        engine="diffusion",
        scales={
            2: Weights(
                (
                    File("model_index.json", 408),
                    File("scheduler/scheduler_config.json", 301),
                    *_text_encoder(645, 492_000_000, sha256=None, tokenizer=(472, 831)),
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
        note="Smooths what another diffusion model made, as the second of a chain. Its licence forbids some uses.",
        paper="Rombach et al. 2022, arXiv:2112.10752",
        arch="sd-x2",
        takes=TILED | {"prompt", "negative_prompt", "steps", "guidance", "seed"},
        tiles=(128, 2048),  # four pixels a latent
    ),
    Model(
        key="ldm-x4",
        name="Latent diffusion x4",
        family="diffusion",
        engine="diffusion",
        scales={
            # CompVis/ldm-super-resolution-4x-openimages has these as pickles alone, which are not loaded here.
            4: Weights(
                (
                    File("model_index.json", 248),
                    File("scheduler/scheduler_config.json", 286),
                    *_network("unet", 873, 455_000_000),
                    *_network("vqvae", 713, 221_000_000),
                ),
                (),
                pipeline="LDMSuperResolutionPipeline",
            )
        },
        licence="Apache-2.0",
        commercial=True,
        note="Latent diffusion without words. Its publisher has no safetensors: give a folder that diffusers saved.",
        paper="Rombach et al. 2022, arXiv:2112.10752",
        arch="ldm-x4",
        takes=TILED | {"steps", "seed"},
        tiles=(32, 512),
    ),
)
