"""The table of models: what exists, at which scales, from which files, under which licence.

Plain data: importing this module loads no array, network or page library. Dropdowns, command-line choices, the API's
list and the README's table are all made from these rows.
"""

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from pipelines import hub_address
from pipelines.errors import BadSetting

Family = Literal["classical", "cnn", "gan", "diffusion"]
Pin = Literal["sha256", "git blob", "sha256 prefix", "unpinned"]
SCALES = (2, 3, 4, 8)
CPU_ENGINES = frozenset({"classical", "opencv"})  # what these do, they do on the CPU
COLOUR_FIXES = ("wavelet", "adain", "none")  # how an enlargement may be given back the colours of the picture


@dataclass(frozen=True, slots=True)
class File:
    """One file of weights, named by its path in the repository that publishes it.

    At most one of the hashes is given, the strongest that is known; none shows as "unpinned".
    """

    path: str
    size: int  # bytes, to quote before a download; right to some percent; 0 where nobody has said it
    sha256: str | None = None
    git_blob: str | None = None  # SHA-1 of git's blob object, for files known only through a repository's tree
    sha256_prefix: str | None = None  # the published start of the sha256, as torch's model zoo puts into file names
    or_else: str = ""  # the path of what a folder of the user's own may have in its place

    @property
    def name(self) -> str:
        """The base name: what the file is called in a folder of the user's own."""
        return self.path.rpartition("/")[2]

    @property
    def learned(self) -> bool:
        """Whether it holds parameters, not settings or a vocabulary."""
        return not self.name.endswith((".json", ".txt"))

    @property
    def pin(self) -> Pin:
        """By what the content is pinned: the kind of the hash that is known."""
        if self.sha256:
            return "sha256"
        if self.git_blob:
            return "git blob"
        return "sha256 prefix" if self.sha256_prefix else "unpinned"


@dataclass(frozen=True, slots=True)
class Hub:
    """A repository on the Hugging Face Hub, pinned to a 40-hex revision (None: whatever is newest).

    Where it is `public`, it is asked without HF_TOKEN: whoever opens a page may name such a repository, and shall not
    read by it what only the page's owner may.
    """

    repo: str
    revision: str | None
    public: bool = False


@dataclass(frozen=True, slots=True)
class Url:
    """A web folder; a file's path is appended to it. Pinned by a commit or a release in the address."""

    base: str


Source = Hub | Url


@dataclass(frozen=True, slots=True)
class Weights:
    """The files one model needs at one scale, and where to ask for them, in order."""

    files: tuple[File, ...]
    sources: tuple[Source, ...]  # none for files that come with the program, and for those that nobody offers
    anywhere: bool = True  # whether a file of that name in the user's folder, or among the bundled ones, is meant too
    pipeline: str = ""  # of a folder that diffusers saved the class, as its model_index.json names it

    @property
    def size(self) -> int:
        """Bytes of all files together."""
        return sum(file.size for file in self.files)

    @property
    def bundled(self) -> bool:
        """Whether the files come with the program."""
        return not (self.sources or self.pipeline)


@dataclass(frozen=True, slots=True)
class Model:
    """One upscaler. `scales` maps a scale to the weights it needs there, or to None when it needs none."""

    key: str  # API value, CLI choice, benchmark row: never changes
    name: str
    family: Family
    engine: str  # pipelines/upscalers/<engine>.py
    scales: Mapping[int, Weights | None]
    licence: str
    commercial: bool
    note: str  # what it is good at, in one line
    paper: str = ""
    arch: str = ""  # the network, as its engine calls it
    params: Mapping[int, int] = field(default_factory=dict)  # scale -> learned parameters, where counted
    takes: frozenset[str] = frozenset()  # the fields of Settings this model can use
    radius: int = 0  # receptive field's radius in low-resolution pixels, of networks that cannot tell it themselves
    shrunk_from: int | None = None  # the scale that its network enlarges by where that is more than was asked for
    noisy_twin: Weights | None = None  # the same network trained to keep noise: the setting denoise mixes the two
    # Least and most low-resolution pixels a side of a tile, where it takes any; None where the network's file has to
    # be read to know them.
    tiles: tuple[int, int] | None = None
    light: bool = False  # so little work that no GPU is borrowed for it

    @property
    def prompt(self) -> bool:
        """Whether words steer the result."""
        return "prompt" in self.takes

    @property
    def from_hub(self) -> bool:
        """Whether it is no row of MODELS, but was named by its file on the Hub."""
        return "/" in self.key

    @property
    def gpu(self) -> bool:
        """Whether it is worth borrowing a GPU for."""
        return self.engine not in CPU_ENGINES and not self.light


def _classical(key: str, name: str, note: str, paper: str = "") -> Model:
    scales = dict.fromkeys(SCALES, None)
    return Model(key, name, "classical", "classical", scales, "none needed", True, note, paper)


def _opencv(repo: str, commit: str, files: Mapping[int, File]) -> Mapping[int, Weights]:
    return {scale: Weights((file,), (_github(repo, commit),)) for scale, file in files.items()}


def _github(repo: str, commit: str) -> Url:
    return Url(f"https://raw.githubusercontent.com/{repo}/{commit}")


def _hub(repo: str, revision: str, files: Mapping[int, File]) -> Mapping[int, Weights]:
    return {scale: Weights((file,), (Hub(repo, revision),)) for scale, file in files.items()}


def _released(file: File) -> Weights:
    """A file of Real-ESRGAN's release that has the compact networks."""
    return Weights((file,), (Url("https://github.com/xinntao/Real-ESRGAN/releases/download/v0.2.5.0"),))


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


def _bundled(files: Mapping[int, File]) -> Mapping[int, Weights]:
    return {scale: Weights((file,), ()) for scale, file in files.items()}


TILED = frozenset({"tile"})

MODELS = (
    _classical("nearest", "Nearest neighbour", "Repeats pixels: for pixel art, and to see what was there."),
    _classical("bilinear", "Bilinear", "The quickest smooth one; soft."),
    _classical("bicubic", "Bicubic", "The usual baseline: what every other method must beat.", "Keys 1981"),
    _classical("lanczos", "Lanczos", "A little sharper than bicubic, with faint halos at edges.", "Duchon 1979"),
    Model(
        key="swift",
        name="Swift",
        family="cnn",
        engine="network",
        scales=_bundled(
            {
                2: File(
                    "swift-x2.safetensors",
                    124_072,
                    sha256="741540ce27c37b038225076e317825e4288cfceb9b668ec09c855e0a966e6efd",
                ),
                3: File(
                    "swift-x3.safetensors",
                    319_286,
                    sha256="3afbaba9dc7fa564f3b694ad3ca12ef3e3d551bb3264135e08f4fbb5e62ee400",
                ),
                4: File(
                    "swift-x4.safetensors",
                    331_424,
                    sha256="520ead90d189ff377a5a4894c8c7919686a76a21000fff120ef21783cf592e9e",
                ),
            }
        ),
        licence="Apache-2.0",
        commercial=True,
        note="This project's own: faithful and quick, and it comes along. Trained on pictures published for research.",
        arch="swift",
        params={2: 61_388, 3: 158_203, 4: 164_272},
        takes=TILED,
        light=True,
    ),
    Model(
        key="srcnn",
        name="SRCNN",
        family="cnn",
        engine="network",
        scales=_bundled(
            {
                2: File(
                    "srcnn-x2.safetensors",
                    115_156,
                    sha256="f593a1e14c0b440ca5e68ce324114143831663aa79f063d1b8a81d0694199d06",
                ),
                3: File(
                    "srcnn-x3.safetensors",
                    115_156,
                    sha256="66cdc10afb978973343597b07db1acbbee3fe73c806b88f3b129d411fed37662",
                ),
                4: File(
                    "srcnn-x4.safetensors",
                    115_156,
                    sha256="668c5967dad5dada2d30a836c072bf00cac70be55be70552816c6bca002a422e",
                ),
            }
        ),
        licence="Apache-2.0",
        commercial=True,
        note="The first network for this, trained anew on pictures published for research: what ten years brought.",
        paper="Dong et al. 2016, arXiv:1501.00092",
        arch="srcnn",
        params=dict.fromkeys((2, 3, 4), 57_281),
        takes=TILED,
    ),
    Model(
        key="edsr",
        name="EDSR",
        family="cnn",
        engine="opencv",
        scales=_opencv(
            "Saafke/EDSR_Tensorflow",
            "06c7bd65b0305c2955328f8f2721ea86c341f660",
            {
                2: File("models/EDSR_x2.pb", 40_000_000, git_blob="7087df167eae8865b25b4f6032c819aacde25b8a"),
                3: File("models/EDSR_x3.pb", 40_000_000, git_blob="9b9082ceca0d5a2fc6d6bae7456e2c7934b3aa4d"),
                4: File("models/EDSR_x4.pb", 40_000_000, git_blob="09b872b26a6ba8d43abe433e65e65477ff8714ea"),
            },
        ),
        licence="Apache-2.0",
        commercial=True,
        note="The most faithful of OpenCV's networks, and by far the slowest.",
        paper="Lim et al. 2017, arXiv:1707.02921",
        arch="edsr",
        takes=TILED,
        radius=67,
        tiles=(201, 4096),
    ),
    Model(
        key="espcn",
        name="ESPCN",
        family="cnn",
        engine="opencv",
        scales=_opencv(
            "fannymonori/TF-ESPCN",
            "5c628eca82028161a53e1265cc3a5b571ab8625f",
            {
                2: File(
                    "export/ESPCN_x2.pb",
                    86_446,
                    sha256="59f77351e1d7c0057bf6fe088b4a8a07e42c468c8c8aebb674a6b4ea1823221d",
                ),
                3: File(
                    "export/ESPCN_x3.pb",
                    92_226,
                    sha256="0e667db7a431d14c32568ed79bf21701a64df8b1d162e48ca1f8800affe2c2b3",
                ),
                4: File(
                    "export/ESPCN_x4.pb",
                    100_323,
                    sha256="e403f06309229cf36009cd8fb0da032ba7643fae9f15cf94fe562e8edf8fef47",
                ),
            },
        ),
        licence="Apache-2.0",
        commercial=True,
        note="Small and quick; a little crisper than bicubic.",
        paper="Shi et al. 2016, arXiv:1609.05158",
        arch="espcn",
        params={2: 21_284, 3: 22_729, 4: 24_752},
        takes=TILED,
        radius=4,
        tiles=(16, 4096),
    ),
    Model(
        key="fsrcnn",
        name="FSRCNN",
        family="cnn",
        engine="opencv",
        scales=_opencv(
            "Saafke/FSRCNN_Tensorflow",
            "6a4812c4ef1c4f5947d79beafa32a05a6eb4a94d",
            {
                2: File(
                    "models/FSRCNN_x2.pb",
                    38_973,
                    sha256="366b33f0084c7b3f2bf6724f0a2c77bca94fcec9d7b6d72389d330073b380d5c",
                ),
                3: File(
                    "models/FSRCNN_x3.pb",
                    40_093,
                    sha256="efd38655a815908c6c8954db6052f128e76a735f1de657894c477d0dc0b64481",
                ),
                4: File(
                    "models/FSRCNN_x4.pb",
                    41_661,
                    sha256="5c68d18db561aed8ead4ffedf1b897ea615baaf60ebf6c35f8e641f8fa4a21bf",
                ),
            },
        ),
        licence="Apache-2.0",
        commercial=True,
        note="Small and quick; clean edges on text and drawings.",
        paper="Dong et al. 2016, arXiv:1608.00367",
        arch="fsrcnn",
        params={2: 8_496, 3: 8_776, 4: 9_168},
        takes=TILED,
        radius=8,
        tiles=(24, 4096),
    ),
    Model(
        key="fsrcnn-small",
        name="FSRCNN-small",
        family="cnn",
        engine="opencv",
        scales=_opencv(
            "Saafke/FSRCNN_Tensorflow",
            "6a4812c4ef1c4f5947d79beafa32a05a6eb4a94d",
            {
                2: File(
                    "models/FSRCNN-small_x2.pb",
                    9_595,
                    sha256="429e4793d049c1ae16ddbbc322fd11c3c08831c0c20137390b4d098976a2b0d9",
                ),
                3: File(
                    "models/FSRCNN-small_x3.pb",
                    10_235,
                    sha256="58e72d0c4231b8e754180e787d7348f45ae6230ee3c5af7dc12b558467f593f7",
                ),
                4: File(
                    "models/FSRCNN-small_x4.pb",
                    11_131,
                    sha256="92a9f57c28494813b4dc073b51a300cb909401454d77541bcdc96b4d55901d02",
                ),
            },
        ),
        licence="Apache-2.0",
        commercial=True,
        note="The quickest network here.",
        paper="Dong et al. 2016, arXiv:1608.00367",
        arch="fsrcnn",
        params={2: 1_621, 3: 1_781, 4: 2_005},
        takes=TILED,
        radius=8,
        tiles=(24, 4096),
    ),
    Model(
        key="lapsrn",
        name="LapSRN",
        family="cnn",
        engine="opencv",
        scales=_opencv(
            "fannymonori/TF-LapSRN",
            "fc51c90af1b5801a357abc919160d7ff4f24b997",
            {
                2: File(
                    "export/LapSRN_x2.pb",
                    1_356_253,
                    sha256="f59c86e6835bbca646dbd81588f07820dfe3bd09e3702976ae2d90b5fc0f0b21",
                ),
                4: File(
                    "export/LapSRN_x4.pb",
                    2_712_798,
                    sha256="d3e95c93cafae5ce5a8ed57ce9abf07f2de58da8c5d6d656b766774969835ee2",
                ),
                8: File(
                    "export/LapSRN_x8.pb",
                    4_069_183,
                    sha256="a00211938b2b4c7d23691525a9267d9d0bbb345cdb9f38a7fc917414a5a1884f",
                ),
            },
        ),
        licence="Apache-2.0",
        commercial=True,
        note="Enlarges in steps of two; the only small network with a direct x8. Slow on a CPU.",
        paper="Lai et al. 2017, arXiv:1704.03915",
        arch="lapsrn",
        params={2: 337_088, 4: 674_176, 8: 1_011_264},
        takes=TILED,
        radius=10,
        tiles=(30, 4096),
    ),
    Model(
        key="real-esrgan",
        name="Real-ESRGAN",
        family="gan",
        engine="network",
        scales=_hub(
            "ai-forever/Real-ESRGAN",
            "a86fc6182b4650b4459cb1ddcb0a0d1ec86bf3b0",
            {
                2: File(
                    "RealESRGAN_x2.pth",
                    67_000_000,
                    sha256="c830d067d54fc767b9543a8432f36d91bc2de313584e8bbfe4ac26a47339e899",
                ),
                4: File(
                    "RealESRGAN_x4.pth",
                    67_040_989,
                    sha256="aa00f09ad753d88576b21ed977e97d634976377031b178acc3b5b238df463400",
                ),
                8: File("RealESRGAN_x8.pth", 67_000_000),
            },
        ),
        licence="BSD-3-Clause",
        commercial=True,
        note="Cleans up and sharpens real photographs; invents fine detail. Slow on a CPU.",
        paper="Wang et al. 2021, arXiv:2107.10833",
        arch="rrdb",
        params={2: 16_703_171, 4: 16_697_987, 8: 16_734_915},
        takes=TILED,
    ),
    Model(
        key="real-esrgan-general",
        name="Real-ESRGAN general (compact)",
        family="gan",
        engine="network",
        scales=dict.fromkeys(
            (2, 3, 4),
            _released(
                File(
                    "realesr-general-x4v3.pth",
                    4_885_111,
                    sha256="8dc7edb9ac80ccdc30c3a5dca6616509367f05fbc184ad95b731f05bece96292",
                )
            ),
        ),
        licence="BSD-3-Clause",
        commercial=True,
        note="Much of Real-ESRGAN's cleaning in a fifteenth of its time; how much noise goes can be chosen.",
        paper="Wang et al. 2021, arXiv:2107.10833",
        arch="compact",
        params=dict.fromkeys((2, 3, 4), 1_213_296),
        takes=TILED | {"denoise"},
        shrunk_from=4,
        noisy_twin=_released(
            File(
                "realesr-general-wdn-x4v3.pth",
                4_885_111,
                sha256="1641f8c4464b9f097c9fdda5589273713f67cf59f3d909e0bd688f0cee269dca",
            )
        ),
    ),
    Model(
        key="real-esrgan-anime",
        name="Real-ESRGAN anime (compact)",
        family="gan",
        engine="network",
        scales=dict.fromkeys(
            (2, 3, 4),
            _released(
                File(
                    "realesr-animevideov3.pth",
                    2_504_012,
                    sha256="b8a8376811077954d82ca3fcf476f1ac3da3e8a68a4f4d71363008000a18b75d",
                )
            ),
        ),
        licence="BSD-3-Clause",
        commercial=True,
        note="For anime and drawings: clean lines, flat colours.",
        paper="Wang et al. 2021, arXiv:2107.10833",
        arch="compact",
        params=dict.fromkeys((2, 3, 4), 621_424),
        takes=TILED,
        shrunk_from=4,
    ),
    # Of small files in these repositories only the sizes are known; they are checked against the Hub's own hash.
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

# What metrics need, by key and part: each part has a publisher of its own.
METRICS: Mapping[str, Mapping[str, Weights]] = {
    "lpips": {
        "heads": Weights(
            (
                File(
                    "lpips/weights/v0.1/alex.pth",
                    6_009,
                    sha256="df73285e35b22355a2df87cdb6b70b343713b667eddbda73e1977e0c860835c0",
                ),
            ),
            (_github("richzhang/PerceptualSimilarity", "082bb24f84c091ea94de2867d34c4544f68e0963"),),
        ),
        "backbone": Weights(
            (File("alexnet-owt-7be5be79.pth", 244_400_000, sha256_prefix="7be5be79"),),
            (Url("https://download.pytorch.org/models"),),
        ),
    },
}


def find(key: str) -> Model:
    """The row with that key, or a row for the file on the Hub that it names, as `on_hub` takes it.

    Raises BadSetting where there is none, naming the nearest key.
    """
    for model in MODELS:
        if model.key == key:
            return model
    if "/" in str(key):
        return on_hub(str(key))
    keys = [model.key for model in MODELS]
    close = difflib.get_close_matches(str(key), keys, n=1)
    hint = f"did you mean {close[0]}?" if close else f"there are {', '.join(keys)}."
    raise BadSetting(f"There is no model {str(key)[:60]!r}; {hint}")


def on_hub(text: str) -> Model:
    """A row for the file of a community model: "owner/name/file.safetensors", or its address on huggingface.co.

    "owner/name@revision/file.safetensors" is the file as it was at that 40-hex revision. What it enlarges by is known
    once it is here: any scale may be asked for. Raises BadSetting for what names no file of weights there.
    """
    repo, revision, path = hub_address.parts(text)
    weights = Weights((File(path, 0),), (Hub(repo, revision, public=True),), anywhere=False)
    return Model(
        key=f"{repo}@{revision}/{path}" if revision else f"{repo}/{path}",
        name=path.rpartition("/")[2],
        family="gan",
        engine="network",
        scales=dict.fromkeys(SCALES, weights),
        licence="see its page on the Hub",
        commercial=False,
        note=f"An ESRGAN or compact network of {repo}.",
        takes=TILED,
    )


def owner(weights: Weights) -> tuple[Model, int] | None:
    """The row that needs these weights and the first scale at which it does; None where none does."""
    for model in MODELS:
        for scale, needed in model.scales.items():
            if needed == weights:
                return model, scale
    return None


def weights_for(model: Model, scale: int) -> Weights | None:
    """What the model needs at that scale. Raises BadSetting for a scale it does not have."""
    if scale not in model.scales:
        has = ", ".join(f"x{each}" for each in model.scales)
        raise BadSetting(f"{model.name} has no scale x{scale}; it has {has}.")
    return model.scales[scale]


def factor(scale: str) -> int:
    """The number that "x2", "x3", "x4" or "x8" stands for. Raises BadSetting for anything else."""
    for each in SCALES:
        if scale == f"x{each}":
            return each
    known = ", ".join(f"x{each}" for each in SCALES)
    raise BadSetting(f"There is no scale {str(scale)[:60]!r}; there are {known}.")


def parameters(model: Model, scale: int) -> int | None:
    """How many parameters the model learned for that scale: 0 where it needs no weights, None where not counted."""
    return 0 if model.scales[scale] is None else model.params.get(scale)


def needed_by(key: str) -> Mapping[str, Weights]:
    """All weights of a model or a metric, by what to call them: "espcn x2", "lpips heads". Raises as `find` does."""
    if key in METRICS:
        return {f"{key} {part}": needed for part, needed in METRICS[key].items()}
    model = find(key)
    # Scales may share their files: the largest stands for all, because the others are made from its result.
    scale_of = {needed: scale for scale, needed in model.scales.items() if needed is not None}
    own = {model.key if model.from_hub else f"{key} x{scale}": needed for needed, scale in scale_of.items()}
    return own | ({f"{key} denoise": model.noisy_twin} if model.noisy_twin else {})


def as_dict(model: Model) -> dict[str, Any]:
    """A row as JSON has it: what `models --json` and the API's `/models` list. `download` is in bytes, by scale."""
    return {
        "key": model.key,
        "name": model.name,
        "family": model.family,
        "engine": model.engine,
        "arch": model.arch,
        "scales": list(model.scales),
        "shrunk_from": model.shrunk_from,
        "prompt": model.prompt,
        "settings": sorted(model.takes),
        "licence": model.licence,
        "commercial": model.commercial,
        "params": {str(scale): count for scale, count in model.params.items()},
        "download": {str(at): 0 if each.bundled else each.size for at, each in model.scales.items() if each},
        "paper": model.paper,
        "note": model.note,
    }
