"""The weights of a benchmark's contenders: each file asked for once, however many pictures there are."""

from collections.abc import Sequence
from typing import NamedTuple

from pipelines.catalog.rows import Settings, Stage
from pipelines.measuring.attempts import attempt, count_steps
from pipelines.measuring.contenders import Contender
from pipelines.runs import Run
from pipelines.upscalers.loading import StageFiles, fetch


class Fetched(NamedTuple):
    """The sha256 of a contender's files of parameters, joined by commas, and the files, or why they are unavailable."""

    sha256: str
    failure: str | None
    files: tuple[StageFiles, ...]


def fetch_weights(contenders: Sequence[Contender]) -> Run[dict[Contender, Fetched]]:
    """Asks for each contender's weights once, downloading them where they lack; a failure will be its rows' error."""
    models = list(dict.fromkeys(stage for each in contenders for stage in each.stages))
    accepted = Settings(accept_licence=any(each.accepted for each in contenders))
    files: dict[Stage, tuple[StageFiles, ...] | str] = {}
    for number, stage in enumerate(models):
        files[stage] = yield from count_steps(attempt(fetch([stage], accepted)), number, len(models), "weights")
    fetched = {}
    for contender in contenders:
        found = [files[stage] for stage in contender.stages]
        failures = [each for each in found if isinstance(each, str)]
        here = tuple(each for stage_files in found if not isinstance(stage_files, str) for each in stage_files)
        hashes = [file.sha256 for each in here for file in each.files if file.file.learned]
        fetched[contender] = Fetched(",".join(hashes), failures[0] if failures else None, here)
    return fetched
