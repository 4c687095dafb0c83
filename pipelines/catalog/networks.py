"""Networks that torch or OpenVINO runs: this project's own, which are included, and Real-ESRGAN's."""

from collections.abc import Mapping

from pipelines.catalog.schema import TILED, File, Hub, Model, Url, Weights


def _bundled(files: Mapping[int, File]) -> Mapping[int, Weights]:
    return {scale: Weights((file,), ()) for scale, file in files.items()}


def _hub(repo: str, revision: str, files: Mapping[int, File]) -> Mapping[int, Weights]:
    return {scale: Weights((file,), (Hub(repo, revision),)) for scale, file in files.items()}


def _released(file: File) -> Weights:
    """A file of Real-ESRGAN's release that has the compact networks."""
    return Weights((file,), (Url("https://github.com/xinntao/Real-ESRGAN/releases/download/v0.2.5.0"),))


_ESTIMATE = File(
    "swift-estimate.safetensors", 62_326, sha256="a2fcc07f4b6be7f3736d79c3798b71a09ac46a948bfe6796f02cd27fe2f0389c"
)
_ROBUST = {
    2: File(
        "swift-mixed-x2.safetensors", 310_112, sha256="0ab211e362e22fdc7054c8257b04e48e6e32094de0895b245c4d40fab1993563"
    ),
    4: File(
        "swift-mixed-x4.safetensors", 466_488, sha256="f9884a5ddd472a01fdd0c0979a074e73cf5e4bed001a2e279ec0c8b8608ff184"
    ),
}
_ROBUST[3] = _ROBUST[4]  # what it makes is shrunk


OWN_NETWORKS = (
    Model(
        key="swift",
        name="Swift",
        family="cnn",
        engine="network",
        scales=_bundled(
            {
                2: File(
                    "swift-x2.safetensors",
                    310_136,
                    sha256="78d315974343d93af2a041eed96c8a3ad24429ac6b31b274608534a7075e741d",
                ),
                3: File(
                    "swift-x3.safetensors",
                    448_302,
                    sha256="01dd9d862f6334d5d123abbdceaffd6758f6ff649f13d3740a442bf213c8294f",
                ),
                4: File(
                    "swift-x4.safetensors",
                    549_944,
                    sha256="e59aebde30ff55fe0dc24d530a8557eb4e67023bf971fe63acc19355d62c5d5b",
                ),
            }
        ),
        licence="Apache-2.0",
        commercial=True,
        note="Fast and true to the original, and removes JPEG artifacts where there are any. Our own network.",
        arch="swift",
        params={2: 339_279, 3: 486_066, 4: 536_727},  # of all three networks
        takes=TILED | {"artifacts"},
        companions={scale: Weights((file, _ESTIMATE), ()) for scale, file in sorted(_ROBUST.items())},
        light=True,
    ),
    Model(
        key="cleaner",
        name="Cleaner",
        family="cnn",
        engine="network",
        scales=_bundled(
            {
                1: File(
                    "cleaner.safetensors",
                    768_400,
                    sha256="6b328ac778831aa6bc452a93cb9315814bd7456266fe57f4c84df92199fa67d1",
                )
            }
        ),
        licence="Apache-2.0",
        commercial=True,
        note="Removes noise and JPEG artifacts before another model upscales. Our own denoising autoencoder.",
        paper="after Vincent et al. 2008",
        arch="autoencoder",
        params={1: 413_795},
        takes=TILED | {"cleanup"},
        companions={1: Weights((_ESTIMATE,), ())},
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
        note="The first network of its kind, trained anew here. Shows what ten years have brought.",
        paper="Dong et al. 2016, arXiv:1501.00092",
        arch="srcnn",
        params=dict.fromkeys((2, 3, 4), 57_281),
        takes=TILED,
    ),
)

REAL_ESRGAN = (
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
        note="Cleans and sharpens photos. Invents fine detail, slow on a CPU.",
        paper="Wang et al. 2021, arXiv:2107.10833",
        arch="rrdb",
        params={2: 16_703_171, 4: 16_697_987, 8: 16_734_915},
        takes=TILED,
    ),
    Model(
        key="real-esrgan-general",
        name="Real-ESRGAN general",
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
        note="Cleans and sharpens photos and JPEGs. 15 times faster than Real-ESRGAN, with adjustable denoising.",
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
        name="Real-ESRGAN anime",
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
        note="Clean lines and flat colours. For anime and drawings.",
        paper="Wang et al. 2021, arXiv:2107.10833",
        arch="compact",
        params=dict.fromkeys((2, 3, 4), 621_424),
        takes=TILED,
        shrunk_from=4,
    ),
    # Of small files in these repositories only the sizes are known; they are checked against the Hub's own hash.
)
