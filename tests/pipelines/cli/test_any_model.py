"""Any model on the command line: a file alone, an x1 model before another, and a search in OpenModelDB's list."""

import hashlib
import json
import zipfile
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save
from torch import Tensor

from pipelines.catalog import openmodeldb as database
from pipelines.cli.main import main
from pipelines.images import door as images
from pipelines.images.picture import Picture
from pipelines.measuring.metrics.metric import crop_border
from pipelines.measuring.metrics.pixelwise import luma, psnr
from pipelines.measuring.protocol import as_scored, shrink_original
from pipelines.networks import foreign
from pipelines.networks.archs.rrdbnet import RRDBNet
from pipelines.networks.archs.srvgg import SRVGGNetCompact
from pipelines.runs import finish
from pipelines.weights import visitors
from pipelines.weights.direct import place_of
from tests.conftest import smooth
from tests.pipelines.catalog.test_openmodeldb import told
from tests.support.networks import as_pth, compact, rrdb, tiny_compact


@pytest.fixture(autouse=True)
def _exact(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UPSCALE_PRECISION", "exact")


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    images.write(Picture(smooth(12, 16)), tmp_path / "in.png")
    return tmp_path / "in.png"


@pytest.mark.parametrize("scale", [1, 2, 4])
def test_a_file_alone_runs_as_what_it_is(
    scale: int, picture: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """At its own scale, and named for what it is."""
    torch.save(compact(scale).state_dict(), tmp_path / "mine.pth")
    assert main(["upscale", str(picture), str(tmp_path / "out.png"), "--weights", str(tmp_path / "mine.pth")]) == 0
    out = capsys.readouterr().out
    assert f"{16 * scale} x {12 * scale}, own-x{scale} x{scale}" in out
    assert "mine.pth holds a network of the architecture compact" in out
    assert images.read(tmp_path / "out.png").pixels.shape == (12 * scale, 16 * scale, 3)


def test_a_file_alone_at_another_size(picture: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    torch.save(rrdb(4).state_dict(), tmp_path / "mine.pth")
    arguments = ["upscale", str(picture), str(tmp_path / "out.png"), "--weights", str(tmp_path / "mine.pth")]
    assert main([*arguments, "--scale", "3"]) == 0
    assert "48 x 36, own-x4" in capsys.readouterr().out


def test_a_file_for_a_model_of_another_architecture(
    picture: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    torch.save(rrdb(4).state_dict(), tmp_path / "mine.pth")
    arguments = ["upscale", str(picture), str(tmp_path / "out.png"), "--model", "swift", "--scale", "4"]
    assert main([*arguments, "--weights", str(tmp_path / "mine.pth")]) == 0
    assert "mine.pth holds a network of another architecture than Swift: rrdb" in capsys.readouterr().out


def zipped(name: str, content: bytes) -> bytes:
    """An archive of one file."""
    stream = BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr(name, content)
    return stream.getvalue()


def stored(**tensors: Tensor) -> bytes:
    """A file with these parameters, whose names have dots where there are two underscores."""
    return as_pth({name.replace("__", "."): tensor for name, tensor in tensors.items()})


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("x.pth", as_pth(tiny_compact())[:-900], "x.pth is damaged or not a file of weights."),
        (
            "x.safetensors",
            save(tiny_compact())[:-9],
            "x.safetensors is damaged or not a file of weights.",
        ),
        (
            "x.ckpt",
            stored(model__diffusion_model__input_blocks__0__0__weight=torch.ones(2, 2)),
            "x.ckpt is a checkpoint of Stable Diffusion, which does not",
        ),
        ("x.pth", stored(lora_unet_down__lora_up__weight=torch.ones(2, 2)), "x.pth is a LoRA, an addition to another"),
        (
            "x.pth",  # BasicVSR's, which reads several images of a video
            stored(spynet__basic_module__0__weight=torch.ones(2, 2), backward_resblocks__weight=torch.ones(2, 2)),
            "x.pth belongs to another network: expected RRDB",
        ),
        (
            "x.pth",  # two images side by side, as some that remove noise want it
            as_pth(tiny_compact() | {"body.0.weight": torch.ones(5, 6, 3, 3)}),
            "x.pth cannot be used: it reads 6 channels",
        ),
        (
            "x.onnx",
            b"\x08\x07\x12\x07pytorch",
            "x.onnx is an ONNX file, which cannot be read: give the .pth or .safetensors",
        ),
        ("x.pth", b"PK\x05\x06" + bytes(18), "x.pth is damaged or not a file of weights."),
        ("x.zip", zipped("4x.pth", as_pth(tiny_compact())), "x.zip is damaged or not a file of weights."),
        ("x.pth", zipped("read me.txt", b"hello there"), "x.pth is damaged or not a file of weights."),
        ("x.pth", b"hello there", "x.pth is damaged or not a file of weights."),
        ("x.pth", b"", "x.pth is empty."),
    ],
)
def test_what_is_no_network_is_one_sentence(
    name: str, content: bytes, said: str, picture: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / name).write_bytes(content)
    assert main(["upscale", str(picture), str(tmp_path / "out.png"), "--weights", str(tmp_path / name)]) == 1
    told = capsys.readouterr()
    assert told.err.startswith(said) and told.err.count("\n") == 1
    assert {path.name for path in tmp_path.iterdir()} == {"in.png", name}, "nothing is left behind"


STAGES = "omdb/1x-Clean:1,omdb/4x-Large:4"


@pytest.fixture
def named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, SRVGGNetCompact | RRDBNet]:
    """Two networks by OpenModelDB's names, whose files are here already."""
    monkeypatch.setattr(visitors, "folder", lambda: tmp_path / "visitors")
    monkeypatch.setattr(database, "list_path", lambda: tmp_path / "models.json")
    networks: dict[str, SRVGGNetCompact | RRDBNet] = {"1x-Clean": compact(1), "4x-Large": rrdb(4)}
    listed = {}
    for name, network in networks.items():
        place = place_of(f"OpenModelDB {name}", database.Entry(name, "", 1, "", "", "", "pth", 0, "", ()).file)
        place.parent.mkdir(parents=True)
        torch.save(network.state_dict(), place)
        digest = hashlib.sha256(place.read_bytes()).hexdigest()
        listed[name] = told(scale=network.scale, resource={"sha256": digest})
    (tmp_path / "models.json").write_text(json.dumps(listed))
    return networks


def test_an_x1_model_cleans_up_before_another(
    named: dict[str, SRVGGNetCompact | RRDBNet], picture: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As a stage of a chain or by --cleanup alike: the result is that of the two networks in turn, and is told."""
    chained, cleaned = tmp_path / "chained.png", tmp_path / "cleaned.png"
    assert main(["chain", str(picture), str(chained), "--stages", STAGES]) == 0
    command = ["upscale", str(picture), str(cleaned), "--model", "omdb/4x-Large", "--cleanup", "omdb/1x-Clean"]
    assert main(command) == 0
    out = capsys.readouterr().out
    assert out.count(f"64 x 48, {STAGES} x4") == out.count("  cleaned up first by 1x-Clean\n") == 2
    assert chained.read_bytes() == cleaned.read_bytes()
    record = json.loads(Image.open(cleaned).text["upscale-bench"])  # type: ignore[attr-defined]
    assert record["model"] == STAGES and record["scale"] == 4
    with torch.inference_mode():
        pixels = torch.from_numpy(images.read(picture).pixels).permute(2, 0, 1)[None]
        expected = named["4x-Large"](named["1x-Clean"](pixels).clamp(0, 1)).clamp(0, 1)[0].permute(1, 2, 0).numpy()
    np.testing.assert_allclose(images.read(cleaned).pixels, expected, atol=1 / 255)


@pytest.mark.usefixtures("named")
def test_ones_own_file_is_not_for_the_clean_up(
    picture: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    torch.save(compact(2).state_dict(), tmp_path / "mine.pth")
    command = ["upscale", str(picture), str(tmp_path / "out.png"), "--weights", str(tmp_path / "mine.pth")]
    assert main([*command, "--cleanup", "omdb/1x-Clean"]) == 0
    assert "32 x 24, omdb/1x-Clean:1,own-x2:2 x2" in capsys.readouterr().out


@pytest.mark.usefixtures("named")
def test_a_benchmark_shows_what_cleaned_up(picture: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """In its row, beside the model alone; a chain to eight may have it too."""
    report = tmp_path / "report.json"
    command = ["benchmark", str(picture), "--repeats", "0", "--json", str(report)]
    assert main([*command, "--models", "bicubic", "--stages", "omdb/1x-Clean:1,bicubic:4"]) == 0
    rows = json.loads(report.read_text())["rows"]
    assert [row["stages"] for row in rows] == [None, ["omdb/1x-Clean:1", "bicubic:4"]]
    assert all(row["error"] is None for row in rows) and rows[0]["psnr_y"] != rows[1]["psnr_y"]
    assert "cleaned up first by 1x-Clean" in rows[1]["notes"]
    report.unlink()
    chain = "omdb/1x-Clean:1,bicubic:4,bicubic:2"
    assert main([*command, "--protocol", "chained-8x", "--models", "bicubic", "--stages", chain]) == 0
    assert json.loads(report.read_text())["rows"][1]["model"] == chain


@pytest.mark.parametrize(
    ("cleanup", "said"),
    [
        ("swift", "Argument --cleanup: Swift upscales by 2: only an x1 model can clean up first. See "),
        ("7", "Argument --cleanup: The strength of the clean-up is a number from 0 to 1, not 7.0. See "),
    ],
)
def test_what_cannot_clean_up_is_one_sentence(
    cleanup: str, said: str, picture: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        main(["upscale", str(picture), str(tmp_path / "out.png"), "--cleanup", cleanup])
    told = capsys.readouterr().err
    assert told.startswith(said) and told.count("\n") == 1 and not (tmp_path / "out.png").exists()


@pytest.mark.parametrize(("scale", "figure"), [(2, 35.47), (4, 30.65), (8, 26.19)])
def test_set5_of_srgan(
    scale: int, figure: float, assets: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """PSNR of luma, from MATLAB's low-resolution files, as the repository's own network has it."""
    monkeypatch.setenv("UPSCALE_WEIGHTS_DIR", str(assets / "weights" / "srgan"))
    folder, scores = assets / "images" / "Set5", []
    for name in ("baby", "bird", "butterfly", "head", "woman"):
        low, out = folder / "LR_bicubic" / f"X{scale}" / f"{name}x{scale}.png", tmp_path / f"{name}.png"
        assert main(["upscale", str(low), str(out), "--model", "srgan", "--scale", str(scale)]) == 0
        reference = finish(shrink_original(images.read(folder / "HR" / f"{name}.png"), scale, "bicubic")).reference
        scores.append(psnr(*(luma(crop_border(each, scale)) for each in (reference, as_scored(images.read(out))))))
    assert np.mean([score or 0.0 for score in scores]) == pytest.approx(figure, abs=0.006)


@pytest.mark.parametrize(
    ("name", "options"),
    [("x4plus", ["--model", "real-esrgan-x4plus"]), ("x4plus_anime_6B", [])],
)
def test_the_released_networks_of_real_esrgan(
    name: str, options: list[str], assets: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With their real weights each gives what spandrel's own network gives: by its key, or as a file alone."""
    file = assets / "weights" / "real-esrgan-x4plus" / f"RealESRGAN_{name}.safetensors"
    crop = images.read(assets / "images" / "Set5" / "LR_bicubic" / "X4" / "butterflyx4.png").pixels[8:28, 12:36]
    images.write(Picture(crop), tmp_path / "in.png")
    command = ["upscale", str(tmp_path / "in.png"), str(tmp_path / "out.png"), "--weights", str(file)]
    assert main([*command, *options]) == 0
    assert f"96 x 80, {options[1] if options else 'own-x4'} x4" in capsys.readouterr().out
    state = {key: value.float() for key, value in load_file(file).items()}
    expected = foreign.build(state, file.name)(torch.from_numpy(crop).permute(2, 0, 1)[None])[0].permute(1, 2, 0)
    np.testing.assert_allclose(images.read(tmp_path / "out.png").pixels, expected.numpy(), atol=0.51 / 255)
    assert expected.numpy().std() > 0.1


def test_a_search_lists_models(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """From the list that is here, offline; of a file that needs a browser the page is named."""
    browser = told(license=None, resource={"urls": ["https://mega.nz/x"]})
    (tmp_path / "models.json").write_text(json.dumps({"4x-UltraSharp": told(), "4x-OnMega": browser}))
    monkeypatch.setattr(database, "list_path", lambda: tmp_path / "models.json")
    assert main(["models", "--search", "sharp"]) == 0
    first, second = capsys.readouterr().out.splitlines()
    assert first.split() == ["omdb/4x-UltraSharp", "x4", "esrgan", "CC-BY-4.0", "(commercial", "use),", "1", "kB"]
    assert second.endswith("(no commercial use), download in a browser: https://openmodeldb.info/models/4x-OnMega")
    assert main(["models", "--search", "zebra"]) == 0
    assert capsys.readouterr().out == "OpenModelDB has no model with 'zebra' in its name or description.\n"
