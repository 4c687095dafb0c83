"""Which images a batch takes, and which file each becomes."""

from pathlib import Path, PurePath

import pytest

from pipelines.batch.jobs import Source, list_sources, plan_jobs, write_suffix
from pipelines.errors import BadPicture, BadSetting
from pipelines.images.listing import describe_passed_over


def touch(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"x")


def names_of(*inputs: str, suffix: str = "", format: str = "png") -> list[str]:
    sources = [Source(Path("/in") / name, PurePath(name)) for name in inputs]
    return [job.name for job in plan_jobs(sources, Path("/out"), suffix, format)]


def test_a_tree_is_taken_with_its_folders_and_without_what_is_no_image(tmp_path: Path) -> None:
    touch(tmp_path, "b.png", "a #1%.JPG", "-x.webp", "sub/ü字.tif", "._a.png", "Thumbs.db")
    touch(tmp_path, "@eaDir/a.png", ".hidden/a.png", "results/a.png")
    (tmp_path / "sub" / "circle").symlink_to(tmp_path)
    sources, others = list_sources([tmp_path, tmp_path / "b.png"], True, tmp_path / "results")
    assert [str(source.relative) for source in sources] == ["-x.webp", "a #1%.JPG", "b.png", "sub/ü字.tif"]
    assert {str(each.path.relative_to(tmp_path)): each.reason for each in others} == {
        "._a.png": "hidden",
        ".hidden": "hidden",
        "Thumbs.db": "not named as images are",
        "@eaDir": "kept by a system",
        "results": "results of this command",
        "sub/circle": "links to folders",
    }
    assert describe_passed_over(others)[0] == "Left out, hidden: ._a.png and 1 other."


def test_folders_within_wait_to_be_asked_for_and_results_are_no_images(tmp_path: Path) -> None:
    touch(tmp_path, "a.png", "a_x4.png", "sub/b.png")
    sources, others = list_sources([tmp_path], False, tmp_path, [tmp_path / "a_x4.png"])
    assert [source.path.name for source in sources] == ["a.png"]
    assert [(each.path.name, each.reason) for each in others] == [
        ("a_x4.png", "results of this command"),
        ("sub", "folders (--recursive looks into them)"),
    ]


def test_what_is_not_there_is_told_before_the_work(tmp_path: Path) -> None:
    with pytest.raises(BadPicture, match=r"gone\.png does not exist\."):
        list_sources([tmp_path, tmp_path / "gone.png"], False, tmp_path / "out")


def test_names_keep_the_tree_and_take_suffix_and_format() -> None:
    assert names_of("a.jpg", "sub/b c.tif", "-x", suffix="_x4") == ["a_x4.png", "sub/b c_x4.png", "-x_x4.png"]
    assert names_of("a.JPG", "b.tif", "c.webp", format="same") == ["a.jpg", "b.png", "c.webp"]


def test_images_that_would_get_one_name_are_told_apart() -> None:
    assert names_of("a.jpg", "a.png", "b.png") == ["a_jpg.png", "a_png.png", "b.png"]
    assert names_of("sub/a.jpg", "a.png") == ["sub/a.png", "a.png"]
    assert names_of("a.jpg", "a.png", "a_jpg.bmp") == ["a_jpg_2.png", "a_png.png", "a_jpg.png"]
    assert names_of("A.png", "a.png", suffix="!") == ["A_png!.png", "a_png!_2.png"], "one name on many a disk"
    assert names_of("é.png", "é.png") == ["é_png.png", "é_png_2.png"], "an accent, composed and not"


def test_a_result_that_would_be_an_image_of_the_batch_is_marked(tmp_path: Path) -> None:
    touch(tmp_path, "a.png", "b.jpg")
    sources, _ = list_sources([tmp_path], False, tmp_path)
    assert [job.meets_input for job in plan_jobs(sources, tmp_path, "", "png")] == [True, False]


def test_the_suffix_is_filled_in() -> None:
    assert write_suffix("_{model}_x{scale}", "swift", "2.5") == "_swift_x2.5"
    for wrong in ("{", "{name}", "{model.x}", "{scale:9}", "{}", "{model!r}"):
        with pytest.raises(BadSetting, match="braces hold"):
            write_suffix(wrong, "swift", "4")
    with pytest.raises(BadSetting, match="no slash"):
        write_suffix("/../x", "swift", "4")
