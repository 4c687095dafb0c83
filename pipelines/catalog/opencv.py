"""The networks of OpenCV's dnn_superres, in TensorFlow's .pb files as their authors published them."""

from collections.abc import Mapping

from pipelines.catalog.schema import TILED, File, Model, Weights, github_url


def _opencv(repo: str, commit: str, files: Mapping[int, File]) -> Mapping[int, Weights]:
    return {scale: Weights((file,), (github_url(repo, commit),)) for scale, file in files.items()}


OPENCV = (
    Model(
        key="edsr",
        name="EDSR",
        family="cnn",
        engine="network",
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
        note="The most faithful of OpenCV's networks, and by far the slowest. EDSR base is the better choice.",
        paper="Lim et al. 2017, arXiv:1707.02921",
        arch="edsr",
        takes=TILED,
        tiles=(16, 4096),
        aliased=True,
    ),
    Model(
        key="espcn",
        name="ESPCN",
        family="cnn",
        engine="network",
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
        note="Small and fast. A little crisper than bicubic.",
        paper="Shi et al. 2016, arXiv:1609.05158",
        arch="espcn",
        params={2: 21_284, 3: 22_729, 4: 24_752},
        takes=TILED,
        light=True,
        tiles=(16, 4096),
        aliased=True,
    ),
    Model(
        key="fsrcnn",
        name="FSRCNN",
        family="cnn",
        engine="network",
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
        note="Clean edges on text and drawings. Small and fast.",
        paper="Dong et al. 2016, arXiv:1608.00367",
        arch="fsrcnn",
        params={2: 8_496, 3: 8_776, 4: 9_168},
        takes=TILED,
        light=True,
        tiles=(24, 4096),
        aliased=True,
    ),
    Model(
        key="fsrcnn-small",
        name="FSRCNN-small",
        family="cnn",
        engine="network",
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
        note="The fastest network here.",
        paper="Dong et al. 2016, arXiv:1608.00367",
        arch="fsrcnn",
        params={2: 1_621, 3: 1_781, 4: 2_005},
        takes=TILED,
        light=True,
        tiles=(24, 4096),
        aliased=True,
    ),
    Model(
        key="lapsrn",
        name="LapSRN",
        family="cnn",
        engine="network",
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
        note="A small network with a direct x8. Doubles the size step by step, so slow on a CPU.",
        paper="Lai et al. 2017, arXiv:1704.03915",
        arch="lapsrn",
        params={2: 337_088, 4: 674_176, 8: 1_011_264},
        takes=TILED,
        tiles=(36, 4096),
        aliased=True,
    ),
)
