"""CLIP's tokenizer: what cuts a prompt into words, in the folder of a model as diffusers saves one. Plain data."""

from pipelines.catalog.schema import File, Hub, Weights

STABLE_DIFFUSION_X4_SOURCES = (
    Hub("stabilityai/stable-diffusion-x4-upscaler", "572c99286543a273bfd17fac263db5a77be12c4c"),
    Hub("AVIIAX/upscale", "476ee8c8c27f607ab57730174419be887db883da"),
    Hub("g8nz/stable-diffusion-x4-upscaler", None),
)


def tokenizer_files(special: int, settings: int) -> tuple[File, ...]:
    """The folder's files, given the sizes of its two configurations.

    Where transformers 5 saves a tokenizer, one file holds what used to be three.
    """
    whole = "tokenizer/tokenizer.json"
    return (
        File("tokenizer/vocab.json", 1_059_962, or_else=whole),
        File("tokenizer/merges.txt", 524_619, or_else=whole),
        File("tokenizer/special_tokens_map.json", special, or_else=whole),
        File("tokenizer/tokenizer_config.json", settings),
    )


STABLE_DIFFUSION_X4_TOKENIZER = tokenizer_files(460, 825)
# For a model whose own files have none: all of Stable Diffusion 2's are the same.
TOKENIZER = Weights(STABLE_DIFFUSION_X4_TOKENIZER, STABLE_DIFFUSION_X4_SOURCES)
