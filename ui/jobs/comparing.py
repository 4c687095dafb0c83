"""A comparison on the page: measured into a folder of its own, and shown from there, whole or ended early."""

import hashlib
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from pipelines import environment
from pipelines.catalog import rows as catalog
from pipelines.catalog.schema import Weights
from pipelines.cli.benchmark import command_for
from pipelines.errors import BadPicture, BadSetting, CannotWrite, UpscaleError
from pipelines.files import write_whole
from pipelines.images import door as images
from pipelines.images import pyramid, resample
from pipelines.images.door import Source
from pipelines.images.picture import Picture, to_uint8
from pipelines.images.pyramid import CONSISTENCY_LEVELS, ERROR_LEVELS, Pyramid
from pipelines.measuring import run as benchmark
from pipelines.measuring.metrics import scores as metrics
from pipelines.measuring.protocols import CHAINED_SCALE, REPEATS, Bytes, Contender, check_kernel, contenders
from pipelines.measuring.rows import Row
from pipelines.measuring.run import LONG, Fetched, Plan, Scored, Subject
from pipelines.phrasing import contender, duration, file_name
from pipelines.report import crops, recording, report
from pipelines.report import outputs as showing
from pipelines.report.crops import Shown
from pipelines.report.report import Report
from pipelines.runs import Run, Step, noted, watched
from pipelines.upscalers import loading
from ui.jobs import gpu
from ui.widgets.viewer import Pane, View, tiles_folder


class Files(set[str]):
    """Names of files that one thread may go through while others add some: it goes through those at the beginning."""

    def __iter__(self) -> Iterator[str]:
        return iter(tuple(set.copy(self)))


KEPT = Files()  # every file of every comparison; the page deletes them in their time
SCORING = 0.5  # seconds for a megapixel of a result: to compare it, to write it, and to make it ready to look at
MOST_NAMED = 4  # models that somebody named by their files, each of which may be a large download
LONGEST = 80  # bytes of a name's parts, of which a file may have 255 in all
REPORT = "report.json"
ORIGINAL, SMALL = "original", "small picture"
GOOD_CHAINS = {
    "All LapSRN": "lapsrn:4,lapsrn:2",
    "FSRCNN twice": "fsrcnn:4,fsrcnn:2",
    "Swift twice": "swift:4,swift:2",
}


@dataclass(frozen=True, slots=True)
class Comparison:
    """What a visitor asked for, and where its report, its pictures and its results lie."""

    plan: Plan
    pictures: tuple[Subject, ...]
    folder: Path


def check(sources: Sequence[Source]) -> None:
    """Raise BadPicture or BadSetting where there is no picture, or more than are compared here at once."""
    if not sources:
        raise BadPicture("Choose a picture first.")
    if len(sources) > (most := environment.pictures()):
        raise BadSetting(f"At most {most} pictures can be compared at once here, not {len(sources)}.")


def check_sizes(sizes: Sequence[tuple[int, int]], protocol: str, found: Sequence[Contender]) -> None:
    """Raise BadSetting where all results of pictures of these sizes would be more than is made here at once."""
    grown = found[0].scale ** 2 if protocol == "no-original" else 1
    made = sum(width * height for width, height in sizes) * grown * len(found)
    if made > (most := environment.compared_pixels()):
        mega = environment.MEGA
        raise BadSetting(
            f"All results together would be {made / mega:.0f} megapixels, and at most {most / mega:.0f} are made at "
            "once here: take fewer pictures or models."
        )


def taking_part(protocol: str, scale: str, models: Sequence[str], chains: Sequence[str]) -> tuple[Contender, ...]:
    """Who takes part, by the page's values; of chained-8x the scale is always 8. Raises BadSetting."""
    if not isinstance(models, list) or not isinstance(chains, list):
        raise BadSetting("Models and stages must be lists.")
    if not isinstance(protocol, str):
        raise BadSetting("The protocol must be a word.")
    factor = CHAINED_SCALE if protocol == "chained-8x" else catalog.factor(scale)
    found = contenders(protocol, factor, models, [catalog.parse_stages(str(chain)) for chain in chains])
    named = {key for each in found for key, _ in each.stages if catalog.find(key).from_hub}
    if len(named) > MOST_NAMED:
        raise BadSetting(f"At most {MOST_NAMED} models from the Hub can be compared at once here, not {len(named)}.")
    return found


def ready_chains() -> list[str]:
    """Of the chains known to be good those that need no download; the last one never does."""
    return [chain for chain in GOOD_CHAINS.values() if not lacking(Contender(catalog.parse_stages(chain)))]


def lacking(each: Contender) -> list[Weights]:
    """The weights that would be downloaded for it."""
    return loading.lacking(each.stages)


def at_once(each: Contender) -> bool:
    """Whether it takes part unasked: it needs no download, nor a GPU, without which it may take minutes."""
    return not lacking(each) and not any(catalog.find(key).gpu for key, _ in each.stages)


def lent(found: Sequence[Contender], sizes: Sequence[tuple[int, int]]) -> int:
    """For how many seconds a GPU is to be lent to measure them all on small pictures of these sizes.

    Raises BadSetting where that is longer than one is lent, with what to leave out.
    """
    times = {each: [seconds(each, *size) for size in sizes] for each in found}
    known = {each: sum(time or 0 for time in taken) for each, taken in times.items()}
    slowest = max(known, key=lambda each: known[each])
    instead = "take smaller pictures, or fewer" if len(sizes) > 1 else "take a smaller picture"
    if len(found) > 1:
        instead = f"leave out {contender(slowest.key)}, which takes {duration(known[slowest])} of it, or {instead}"
    total = None if any(None in taken for taken in times.values()) else sum(known.values())
    return gpu.lent([stage for each in found for stage in each.stages], total, instead)


def check_lent(found: Sequence[Contender], sizes: Sequence[tuple[int, int]]) -> None:
    """Raise BadSetting where it would take longer than a GPU is lent for, as `lent` does."""
    lent(found, sizes)


def small_sizes(sizes: Sequence[tuple[int, int]], protocol: str, scale: int) -> list[tuple[int, int]]:
    """How large what is enlarged will be of pictures of these sizes."""
    by = 1 if protocol == "no-original" else scale
    return [(max(1, width // by), max(1, height // by)) for width, height in sizes]


def seconds(each: Contender, width: int, height: int) -> float | None:
    """How long it will take on a picture of that size, all its runs and scoring together; None if never measured."""
    once = gpu.expected(each.stages, each.settings, width, height)
    if once is None:
        return None
    made = width * height * each.scale**2 / 1e6
    return (once if once > LONG else once * (1 + REPEATS)) + SCORING * made


def begun(
    sources: Sequence[Source], protocol: str, scale: str, kernel: str, models: Sequence[str], chains: Sequence[str]
) -> Comparison:
    """A comparison that can be measured. Raises UpscaleError, one sentence, for one that cannot."""
    check(sources)
    check_kernel(kernel)
    found = taking_part(protocol, scale, models, chains)
    sizes = list(_sizes(sources))
    check_sizes(sizes, protocol, found)
    check_lent(found, small_sizes(sizes, protocol, found[0].scale))
    folder = tiles_folder()
    paths = [_as_file(source, folder, number) for number, source in enumerate(sources, 1)]
    pictures, _ = benchmark.subjects(paths)
    return Comparison(Plan(protocol, found[0].scale, kernel, found), tuple(pictures), folder)


def measured(comparison: Comparison, keeping: bool = True) -> Run[Report]:
    """Measure it; the report with the rows so far is kept in its folder, and if wanted each result as it is done."""
    plan, pictures = comparison.plan, comparison.pictures
    weights = yield from benchmark.fetch_weights(plan.contenders)
    models = [stage for each in plan.contenders for stage in each.stages]
    sizes = small_sizes(list(_sizes([each.path for each in pictures])), plan.protocol, plan.scale)
    running = gpu.within(lent(plan.contenders, sizes), models, _measured_here, plan, pictures, weights)
    if keeping:
        running = _keeping(running, comparison)
    names = [picture.name for picture in pictures]
    head = recording.begun(plan, names, command_for(names, plan), _lpips())
    KEPT.add(str(comparison.folder / REPORT))
    return (yield from recording.record(running, head, comparison.folder / REPORT))


def noticed(run: Run[Report], rows: list[Row]) -> Run[Report]:
    """The same run; rows are added to the list as they are finished."""
    return watched(run, lambda step: rows.append(step.row) if isinstance(step, Scored) else None)


def so_far(comparison: Comparison) -> Report | None:
    """The report with the rows that are finished; None before the first one."""
    path = comparison.folder / REPORT
    return report.from_json(path.read_bytes(), path.name) if path.is_file() else None


def view(comparison: Comparison, found: Report, picture: Subject) -> Run[View]:
    """The viewer's value for one of the pictures: original, small picture, and every result with its errors."""
    rows = kept_rows(comparison, found, picture)
    original = read(comparison, picture, ORIGINAL)
    small = read(comparison, picture, SMALL)
    if small is None or not rows:
        return View([])
    panes = [] if original is None else [Pane("Original", size(original), (yield from tiles(original)))]
    for row, load in rows.items():
        name = contender(row.model)
        layers = yield from noted(_layers(load(), original, small, comparison.plan.scale), f"{name}, ")
        panes.append(Pane(name, _caption(row), *layers))
    panes.append(Pane("Small picture", size(small), (yield from tiles(small))))
    boxes = crops.places(original, list(rows.values()), comparison.plan.scale)
    return View(panes, None if original is None else 0, [(box.x, box.y, box.side, box.side) for box in boxes])


def kept_rows(comparison: Comparison, found: Report, picture: Subject) -> dict[Row, Callable[[], Bytes]]:
    """The picture's rows whose results are here, each with what reads it."""
    rows = [row for row in found.rows if row.picture == picture.picture and row.error is None]
    files = {row: _file(comparison, picture, row.model) for row in rows}
    return {row: partial(_pixels, path) for row, path in files.items() if path.is_file()}


def downloads(comparison: Comparison, found: Report) -> Run[dict[str, Path]]:
    """The files to download, by what they are: "JSON", "CSV", "HTML" and "ZIP" (every result as a PNG, and those)."""
    folder = comparison.folder
    files = {kind: folder / f"report.{kind.lower()}" for kind in ("JSON", "CSV", "HTML")}
    archive_file = folder / "comparison.zip"
    KEPT.update(map(str, (*files.values(), archive_file)))  # before they are written: that may be ended at any time
    yield Step(0, 3, "writing the report")
    write_whole(files["JSON"], report.to_json(found))
    write_whole(files["CSV"], report.to_csv(found))
    yield Step(1, 3, "writing the report")
    write_whole(files["HTML"], report.to_html(found, list(_shown(comparison, found))))
    yield Step(2, 3, "writing the report")
    files["ZIP"] = archive_file
    with zipfile.ZipFile(archive_file, "w", zipfile.ZIP_STORED) as archive:
        for path in [*files.values(), *sorted(folder.glob("*.png"))]:
            if path != files["ZIP"]:
                archive.write(path, path.name)
    return files


def read(comparison: Comparison, picture: Subject, what: str) -> Bytes | None:
    """A picture's original, small picture or result as it was kept; None where there is none."""
    path = _file(comparison, picture, what)
    return _pixels(path) if path.is_file() else None


def stage_of(chain: str, number: int) -> str:
    """What the result of one of a chain's stages, counted from 1, is kept as."""
    return f"{chain} stage {number}"


def tiles(pixels: Bytes) -> Run[Pyramid]:
    """The picture as the viewer takes it."""
    folder = tiles_folder()
    # Before they are written: that may be ended at any time.
    KEPT.update(map(str, Pyramid(folder, pixels.shape[1], pixels.shape[0]).files()))
    return (yield from pyramid.write_pyramid(pixels, folder))


def size(pixels: Bytes) -> str:
    """A picture's size to read."""
    return f"{pixels.shape[1]} × {pixels.shape[0]}"


def _measured_here(plan: Plan, pictures: Sequence[Subject], weights: Mapping[Contender, Fetched]) -> Run[list[Row]]:
    """The benchmark, where the models are: on the GPU's side if one of them needs it."""
    return (yield from benchmark.run(plan, pictures, _lpips(), weights=weights))


def _lpips() -> metrics.Lpips | str:
    """The metric if its files are here; a page does not download it unasked."""
    try:
        return metrics.load_lpips()
    except UpscaleError as error:
        return str(error)


def _keeping(running: Run[list[Row]], comparison: Comparison) -> Run[list[Row]]:
    """The same run; what each row is of is written into the folder."""
    return watched(running, lambda step: _keep(step, comparison) if isinstance(step, Scored) else None)


def _keep(scored: Scored, comparison: Comparison) -> None:
    trial, enlarged = scored.trial, scored.enlarged
    if trial is None or enlarged is None:
        return
    pictures = {SMALL: trial.low, scored.contender.key: enlarged.picture}
    if trial.reference is not None:
        pixels = np.divide(showing.coloured(trial.reference), np.float32(255), dtype=np.float32)
        pictures[ORIGINAL] = Picture(pixels, grey=trial.low.grey)
    for number, stage in enumerate(enlarged.stages[:-1], 1):
        pictures[stage_of(scored.contender.key, number)] = Picture(stage.pixels, grey=trial.low.grey)
    for what, picture in pictures.items():
        path = _file(comparison, scored.subject, what)
        if not path.exists():
            KEPT.add(str(path))
            with suppress(CannotWrite):  # without room a result cannot be looked at, and its row is still right
                images.write(picture, path, metadata=False)


def _file(comparison: Comparison, picture: Subject, what: str) -> Path:
    """Where a picture's original, small picture or result lies: a name to meet in the archive."""
    number = f"{comparison.pictures.index(picture) + 1}_" if len(comparison.pictures) > 1 else ""
    scale = "" if what in (ORIGINAL, SMALL) else f"_x{comparison.plan.scale}"
    told = file_name(what)
    if len(told) > LONGEST:
        told = f"{told[:LONGEST]}_{hashlib.sha256(told.encode()).hexdigest()[:8]}"
    stem = Path(picture.name).stem.encode()[:LONGEST].decode(errors="ignore")
    return comparison.folder / f"{number}{stem}_{told}{scale}.png"


def _pixels(path: Path) -> Bytes:
    return to_uint8(images.read_back(path).pixels)


def _layers(
    pixels: Bytes, original: Bytes | None, small: Bytes, scale: int
) -> Run[tuple[Pyramid, Pyramid | None, Pyramid]]:
    """A result as the viewer shows it: itself, its error, and its consistency error at the small picture's size."""
    picture = yield from tiles(pixels)
    error = None if original is None else (yield from tiles(pyramid.heat(pixels, original, ERROR_LEVELS)))
    floats = np.divide(pixels, np.float32(255), dtype=np.float32)
    shrunk = to_uint8((yield from resample.shrink(floats, scale, "bicubic")))
    consistency = yield from tiles(pyramid.heat(shrunk, small, CONSISTENCY_LEVELS))
    return picture, error, consistency


def _caption(row: Row) -> str:
    """How a result did, in a few words."""
    scores = {"PSNR Y": row.psnr_y, "consistency": row.consistency_psnr if row.mse is None else None}
    told = [f"{name} {score:.2f} dB" for name, score in scores.items() if score is not None]
    return ", ".join([*told, *([] if row.seconds is None else [duration(row.seconds)])])


def _shown(comparison: Comparison, found: Report) -> Iterator[Shown]:
    """The pictures that the report to read shows, from the files that were kept."""
    for picture in showing.telling(comparison.pictures, found.rows):
        small = read(comparison, picture, SMALL)
        outputs = {row.model: load for row, load in kept_rows(comparison, found, picture).items()}
        if small is not None and outputs:
            yield crops.shown(picture.name, read(comparison, picture, ORIGINAL), small, outputs)


def _sizes(sources: Sequence[Source]) -> Iterator[tuple[int, int]]:
    """The sizes of the pictures that can be read; of the others the rows will tell."""
    for source in sources:
        with suppress(BadPicture):
            yield images.measure(source)


def _as_file(source: Source, folder: Path, number: int) -> Path:
    """The picture as a file: one that came as bytes gets one of its own."""
    if isinstance(source, Path):
        return source
    path = folder / f"picture{number}"
    path.write_bytes(source)
    KEPT.add(str(path))
    return path
