"""Enlarging a visitor's picture: what is refused at the door, and how often files are looked for."""

from pathlib import Path

import pytest

from pipelines.catalog.rows import Settings, Stage
from pipelines.errors import BadPicture, BadSetting, OutOfMemory
from pipelines.images.picture import Picture
from pipelines.runs import finish
from pipelines.weights import fetch as store
from tests.conftest import smooth
from ui.jobs import enlarging


@pytest.mark.parametrize(
    ("stage", "settings"),
    [
        (Stage("espcn", 8), None),
        (Stage("nonsense", 2), None),
        (Stage("sd-x4", 4), Settings(steps=0)),
        (Stage("espcn", 2), Settings(tile=3)),
        (Stage("bicubic", 2), Settings(seed=1)),
    ],
    ids=str,
)
def test_what_cannot_be_run_is_refused_before_the_picture_is_read(stage: Stage, settings: Settings | None) -> None:
    with pytest.raises(BadSetting):
        enlarging.open_picture(b"no picture", [stage], settings)
    with pytest.raises(BadPicture):
        enlarging.open_picture(b"no picture", [Stage("bicubic", 2)])


def test_a_result_larger_than_the_machine_is_told_by_the_plan(monkeypatch: pytest.MonkeyPatch) -> None:
    """20 x 10 by 4: 200 pixels of 12 bytes, 3200 of 16. What is in use just now may be free by the time of the run."""
    monkeypatch.setattr("pipelines.machine.available_memory", lambda: 0)
    for limit, fits in ((53_600, True), (53_599, False)):
        monkeypatch.setattr(enlarging, "memory_limit", lambda limit=limit: limit)
        if fits:
            enlarging.check_run([Stage("bicubic", 4)], None, (20, 10))
        else:
            with pytest.raises(OutOfMemory, match="takes at least 54 kB of memory, but only 54 kB are left"):
                enlarging.check_run([Stage("bicubic", 4)], None, (20, 10))


def test_files_are_looked_for_once_a_click(own_weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Though they are fetched in one process and may be loaded in another."""
    looked_for: list[object] = []
    find = store.find
    monkeypatch.setattr(store, "find", lambda needed: looked_for.append(needed) or find(needed))
    stages = [Stage("espcn", 2)]
    done = finish(enlarging.enlarge_picture(Picture(smooth(9, 8)), stages))
    assert looked_for == [stages[0].weights] and done.details.scale == 2
