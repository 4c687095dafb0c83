"""What the page tells of a batch once it has ended."""

from pathlib import Path

from pipelines.batch.run import Job, Outcome, Recipe, Source
from pipelines.enlarge import Details
from ui.jobs.batches import Batch, Progress
from ui.widgets.batch_board import render_facts


def test_what_was_done_is_told_in_plain_words_and_the_rest_folded(tmp_path: Path) -> None:
    sources = tuple(Source(tmp_path / name, Path(name)) for name in ("a.png", "b.png", "c.png"))
    jobs = tuple(Job(source.path, tmp_path / source.path.name, source.path.name) for source in sources)
    found = ("antialiased: nothing to remove", "JPEG 40, antialiased: artifacts are removed")
    outcomes = {
        job.name: Outcome(
            job, "done", details=Details("swift", 4, (8, 8), 0.5, "cpu", "bfloat16", 1, None, None, (note,))
        )
        for job, note in zip(jobs, found, strict=False)
    }
    told = render_facts(Progress(Batch(sources), Recipe(), jobs, tmp_path / "all.zip", outcomes))
    plain, folded = told.split("<details>")
    assert "2 done, 1 not begun" in plain
    assert "JPEG artifacts were removed (quality about 40) (1 image)" in plain
    assert "nothing to remove" not in plain and "bfloat16" not in plain
    assert "antialiased: nothing to remove (1 image)" in folded and "cpu, bfloat16" in folded and "1.0 s" in folded
