"""What metrics need from files, by key and part: each part has a publisher of its own."""

from collections.abc import Mapping

from pipelines.catalog.schema import File, Url, Weights, github_url

METRIC_FILES: Mapping[str, Mapping[str, Weights]] = {
    "lpips": {
        "heads": Weights(
            (
                File(
                    "lpips/weights/v0.1/alex.pth",
                    6_009,
                    sha256="df73285e35b22355a2df87cdb6b70b343713b667eddbda73e1977e0c860835c0",
                ),
            ),
            (github_url("richzhang/PerceptualSimilarity", "082bb24f84c091ea94de2867d34c4544f68e0963"),),
        ),
        "backbone": Weights(
            (File("alexnet-owt-7be5be79.pth", 244_400_000, sha256_prefix="7be5be79"),),
            (Url("https://download.pytorch.org/models"),),
        ),
    },
    "dists": {
        "heads": Weights(
            # Number for number what weights.pt there holds, under a name that no other network's file has.
            (
                File(
                    "weights/alpha_beta.mat",
                    7_351,
                    sha256="90447fefecaa702c515273759329713aa488a893782a030d1677fdde3c8e2d74",
                ),
            ),
            (github_url("dingkeyan93/DISTS", "da720e8aba80f2addfb25400d522e630a135416d"),),
        ),
        "backbone": Weights(
            (File("vgg16-397923af.pth", 553_433_881, sha256_prefix="397923af"),),
            (Url("https://download.pytorch.org/models"),),
        ),
    },
    "niqe": {
        "parameters": Weights(
            (
                File(
                    "basicsr/metrics/niqe_pris_params.npz",
                    11_850,
                    sha256="2a7c182a68c9e7f1b2e2e5ec723279d6f65d912b6fcaf37eb2bf03d7367c4296",
                ),
            ),
            (github_url("XPixelGroup/BasicSR", "8d56e3a045f9fb3e1d8872f92ee4a4f07f886b0a"),),
        ),
    },
}
