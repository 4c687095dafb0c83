"""A comparison on the page: what may be asked for, what it will take, and measuring it into a folder of its own."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path

from pipelines import environment, estimates
from pipelines.catalog import rows as catalog
from pipelines.catalog.rows import Settings, Stage, Weights
from pipelines.errors import BadPicture, BadSetting
from pipelines.images import door as images
from pipelines.images.door import ImageSource
from pipelines.measuring import run as benchmark
from pipelines.measuring.run import LONG_RUN, REPEATS, Contender, Fetched, Plan, Protocol, Row, Scored, Subject
from pipelines.phrasing import contender_name, format_duration
from pipelines.report import report as reports
from pipelines.report.report import Report
from pipelines.runs import Run, Step, watch_steps
from pipelines.upscalers import loading
from ui.jobs import allowance, gpu, loans, metric_files
from ui.jobs.choosing import check_here
from ui.jobs.kept_files import REPORT_FILE, Comparison
from ui.jobs.lanes import Expected
from ui.jobs.loans import LEAST_MARGIN, OverQuota, TakenBack, Time
from ui.widgets.viewer import tiles_folder

SCORING_SECONDS = (
    0.5  # seconds for a megapixel of a result: to compare it, to write it, and to make it ready to look at
)
SHORTER = "choose a smaller image", "choose smaller images, or fewer"  # of one image, and of several
MOST_OWN_MODELS = 4  # models that somebody named by their files, each of which may be a large download
GOOD_CHAINS = {
    "LapSRN twice": "lapsrn:4,lapsrn:2",
    "FSRCNN twice": "fsrcnn:4,fsrcnn:2",
    "Swift twice": "swift:4,swift:2",
}


def check_sources(sources: Sequence[ImageSource]) -> None:
    """Raises BadPicture or BadSetting where there is no picture, or more than are compared here at once."""
    if not sources:
        raise BadPicture("Choose an image first.")
    for source in sources:
        check_here(source)
    if len(sources) > (most := environment.most_pictures()):
        raise BadSetting(f"At most {most} images can be compared at once here, not {len(sources)}.")


def check_sizes(sizes: Sequence[tuple[int, int]], protocol: Protocol, found: Sequence[Contender]) -> None:
    """Raises BadSetting where all results of pictures of these sizes would be more than is made here at once."""
    grown = protocol.grows_by(found[0].scale) ** 2
    made = sum(width * height for width, height in sizes) * grown * len(found)
    if made > (most := environment.most_compared_pixels()):
        mega = environment.MEGA
        raise BadSetting(
            f"All results together would have {made / mega:.0f} megapixels. The limit is {most / mega:.0f}: choose "
            "fewer images or models."
        )


def choose_contenders(
    protocol: str, scale: str, models: Sequence[str] | None, chains: Sequence[str], accept: bool | None = None
) -> tuple[Contender, ...]:
    """Returns who takes part, by the page's values; a protocol's own scale counts for more. Raises BadSetting.

    Without models (None) those that are ready. `accept` is for all licences; None leaves that to each model's rows.
    """
    if not isinstance(models, list | None) or not isinstance(chains, list):
        raise BadSetting("Models and stages must be lists.")
    if not isinstance(protocol, str):
        raise BadSetting("The protocol must be a word.")
    by = benchmark.find_protocol(protocol).fixed_scale or catalog.parse_scale(scale)
    named_chains = [catalog.parse_stages(str(chain)) for chain in chains]
    found = benchmark.resolve_contenders(protocol, by, models, named_chains, accept is True)
    if accept is not None:
        catalog.check_accepted([stage.model for stage in _list_stages(found)], Settings(accept_licence=accept))
    named = {stage.key for each in found for stage in each.stages if stage.model.from_hub}
    if len(named) > MOST_OWN_MODELS:
        raise BadSetting(
            f"At most {MOST_OWN_MODELS} models of your own can be compared at once here, not {len(named)}."
        )
    return found


def list_ready_chains() -> list[str]:
    """Of the chains known to be good those that need no download; the last one never does."""
    return [chain for chain in GOOD_CHAINS.values() if not lacking_weights(Contender(catalog.parse_stages(chain)))]


def lacking_weights(each: Contender) -> list[Weights]:
    """The weights that would be downloaded for it."""
    return loading.find_lacking(each.stages)


def needs_nothing(each: Contender) -> bool:
    """Returns whether it takes part unasked: it needs no download, nor a GPU, without which it may take minutes."""
    return not lacking_weights(each) and not any(stage.model.gpu for stage in each.stages)


def gpu_seconds(found: Sequence[Contender], sizes: Sequence[tuple[int, int]]) -> int:
    """Returns for how many seconds to borrow a GPU to measure them all on small pictures of these sizes.

    Raises BadSetting where that is longer than one can be borrowed, with what to leave out.
    """
    known = {each: _add_up([_estimate_time(each, *size) for size in sizes]) for each in found}
    slowest = max(known, key=lambda each: known[each].likely)
    instead = SHORTER[len(sizes) > 1]
    if len(found) > 1:
        name, takes = contender_name(slowest.key), format_duration(known[slowest].likely)
        instead = f"leave out {name}, which takes {takes} of it, or {instead}"
    return loans.plan_loan(_list_stages(found), _add_up([*known.values()]), instead)


def describe_cost(found: Sequence[Contender], sizes: Sequence[tuple[int, int]]) -> str:
    """Returns what measuring them all on small pictures of these sizes takes of the visitor's quota, if anything."""
    time = _add_up([_estimate_time(each, *size) for each in found for size in sizes])
    return loans.describe_cost(_list_stages(found), time, gpu_seconds(found, sizes))


def _find_fitting(found: Sequence[Contender], sizes: Sequence[tuple[int, int]], left: float) -> str:
    """Returns in words which of them could be measured in so many seconds: all but the slowest, as few as need be."""
    taken = {each: _add_up([_estimate_time(each, *size) for size in sizes]).likely for each in found}
    fewer = sorted(found, key=lambda each: taken[each])[:-1]
    while fewer:
        with suppress(BadSetting):
            if gpu_seconds(fewer, sizes) <= left:
                return f"comparing {' and '.join(contender_name(each.key) for each in fewer)}"
        fewer.pop()
    return ""


def _estimate_time(each: Contender, width: int, height: int) -> Time:
    """What all runs and scoring take on a picture of that size."""
    once = loans.estimate_time(each.stages, each.settings, width, height)
    times = 1 if once.likely > LONG_RUN else 1 + REPEATS
    scoring = SCORING_SECONDS * width * height * each.scale**2 / 1e6
    return Time(times * once.likely + scoring, times * once.most + LEAST_MARGIN * scoring)


def _add_up(times: Sequence[Time]) -> Time:
    return Time(sum(time.likely for time in times), sum(time.most for time in times))


def _list_stages(found: Sequence[Contender]) -> list[Stage]:
    return [stage for each in found for stage in each.stages]


def check_gpu_seconds(found: Sequence[Contender], sizes: Sequence[tuple[int, int]]) -> None:
    """Raises BadSetting where it would take longer than a GPU can be borrowed, as `gpu_seconds` does, and TooMuch where
    it would take longer than the visitor's runs may.
    """
    gpu_seconds(found, sizes)
    times = [estimate_seconds(each, *size) for each in found for size in sizes]
    allowance.check_seconds(sum(time for time in times if time is not None))


def small_sizes(sizes: Sequence[tuple[int, int]], protocol: Protocol, scale: int) -> list[tuple[int, int]]:
    """Returns the sizes of what is enlarged, of pictures of these sizes."""
    return [protocol.small_size(*size, scale) for size in sizes]


def estimate_seconds(each: Contender, width: int, height: int) -> float | None:
    """Returns the seconds of all runs and of scoring on a picture of that size; None where none was measured."""
    once = loans.estimate_seconds(each.stages, each.settings, width, height)
    if once is None:
        return None
    made = width * height * each.scale**2 / 1e6
    return (once if once > LONG_RUN else once * (1 + REPEATS)) + SCORING_SECONDS * made


def start(
    sources: Sequence[ImageSource],
    protocol: str,
    scale: str,
    kernel: str,
    models: Sequence[str] | None,
    chains: Sequence[str],
    accept: bool | None = None,
) -> Comparison:
    """Returns a comparison that can be measured. Raises UpscaleError, one message, for one that cannot."""
    check_sources(sources)
    benchmark.check_kernel(kernel)
    found = choose_contenders(protocol, scale, models, chains, accept)
    by = benchmark.find_protocol(protocol)
    sizes = list(_measure_sizes(sources))
    check_sizes(sizes, by, found)
    check_gpu_seconds(found, small_sizes(sizes, by, found[0].scale))
    folder = tiles_folder()
    paths = [_save_source(source, folder, number) for number, source in enumerate(sources, 1)]
    pictures, _ = benchmark.list_subjects(paths)
    return Comparison(Plan(protocol, found[0].scale, kernel, found), tuple(pictures), folder)


def expect(comparison: Comparison) -> Expected:
    """What `measure` is expected to take: all runs and their scores; memory as the hungriest contender needs it."""
    plan, pictures = comparison.plan, comparison.pictures
    if any(lacking_weights(each) for each in plan.contenders):
        return Expected()  # nobody knows how long a download takes
    protocol = benchmark.find_protocol(plan.protocol)
    sizes = small_sizes(list(_measure_sizes([each.path for each in pictures])), protocol, plan.scale)
    times = [estimate_seconds(each, *size) for each in plan.contenders for size in sizes]
    held = [
        sum(stage.megabytes for stage in estimates.estimate_each(each.stages, *size, each.settings))
        for each in plan.contenders
        for size in sizes
    ]
    known = None if None in times else sum(time for time in times if time is not None)
    return Expected(known, round(max(held, default=0) * environment.MEGA))


def measure(comparison: Comparison, keeping: bool = True) -> Run[Report]:
    """Measures it; the report with the rows so far is kept in its folder, and if wanted each result as it is done."""
    plan, pictures = comparison.plan, comparison.pictures
    allowance.take_downloads(sum(map(bool, map(lacking_weights, plan.contenders))))
    weights = yield from benchmark.fetch_weights(plan.contenders)
    models = [stage for each in plan.contenders for stage in each.stages]
    protocol = benchmark.find_protocol(plan.protocol)
    sizes = small_sizes(list(_measure_sizes([each.path for each in pictures])), protocol, plan.scale)
    seconds = gpu_seconds(plan.contenders, sizes)
    running = gpu.run_job(seconds, models, _measure_here, plan, pictures, weights)
    finished = 0

    def see(step: Step) -> None:
        nonlocal finished
        if isinstance(step, Scored):
            finished += 1
            _learn(step)
            if keeping:
                comparison.outputs.keep(step)

    running = watch_steps(running, see)
    names = [picture.name for picture in pictures]
    judges = metric_files.load_judges()
    head = reports.start_report(plan, names, reports.make_command(names, plan, judges.loaded), judges)
    try:
        with loading.holding(files for each in weights.values() for files in each.files):
            return (yield from reports.record_rows(running, head, comparison.folder / REPORT_FILE))
    except TakenBack as error:
        _learn_cut_short(comparison, finished, seconds)
        raise loans.ask_again(error) from None
    except OverQuota as error:
        instead = SHORTER[len(sizes) > 1]
        raise loans.offer_what_fits(error, partial(_find_fitting, plan.contenders, sizes), instead) from None


def _learn(scored: Scored) -> None:
    """Takes into account for later estimates how long the stages of a contender took."""
    if scored.enlarged is not None and scored.trial is not None:
        height, width, _ = scored.trial.low.pixels.shape
        each = scored.contender
        loans.learn(loading.list_times(each.stages, scored.enlarged.stages, width, height), each.settings)


def _learn_cut_short(comparison: Comparison, finished: int, seconds: float) -> None:
    """Takes into account that measuring went on for so long, and came no further than to the row at work: what those
    before did not take, it took.
    """
    plan, protocol = comparison.plan, benchmark.find_protocol(comparison.plan.protocol)
    reached = [(each, picture.path) for picture in comparison.pictures for each in plan.contenders][: finished + 1]
    rows = [
        (each, size)
        for each, path in reached
        for size in small_sizes(list(_measure_sizes([path])), protocol, plan.scale)
    ]
    if len(rows) < finished + 1:  # of an image that cannot be read, or it ended behind the last row
        return
    each, size = rows[-1]
    before = sum(_estimate_time(other, *others).likely for other, others in rows[:-1])
    took = max(seconds - before, _estimate_time(each, *size).most)
    loans.learn_cut_short(each.stages, each.settings, size, took if took > LONG_RUN else took / (1 + REPEATS))


def collect_rows(run: Run[Report], rows: list[Row]) -> Run[Report]:
    """The same run; rows are added to the list as they are finished."""
    return watch_steps(run, lambda step: rows.append(step.row) if isinstance(step, Scored) else None)


def _measure_here(plan: Plan, pictures: Sequence[Subject], weights: Mapping[Contender, Fetched]) -> Run[Sequence[Row]]:
    """The benchmark, where the models are: on the GPU's side if one of them needs it.

    A page downloads nothing for its metrics unasked.
    """
    return (yield from benchmark.run(plan, pictures, metric_files.load_judges(), weights=weights))


def _measure_sizes(sources: Sequence[ImageSource]) -> Iterator[tuple[int, int]]:
    """The sizes of the pictures that can be read; of the others the rows will tell."""
    for source in sources:
        with suppress(BadPicture):
            yield images.read_size(source)


def _save_source(source: ImageSource, folder: Path, number: int) -> Path:
    """The picture as a file: one that came as bytes gets one of its own."""
    if isinstance(source, Path):
        return source
    path = folder / f"picture{number}"
    path.write_bytes(source)
    return path
