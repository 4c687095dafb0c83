"""The command `benchmark`: options in; rows as they finish, the verdict, and the report's files out."""

import argparse
import shlex
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

from pipelines import files
from pipelines.catalog import rows as catalog
from pipelines.cli import arguments
from pipelines.errors import BadPicture, BadSetting, CannotWrite, UpscaleError
from pipelines.measuring import protocols
from pipelines.phrasing import printable_name

if TYPE_CHECKING:
    from pipelines.measuring.metrics.scores import Lpips
    from pipelines.measuring.rows import Metric, Row
    from pipelines.measuring.run import Plan, Subject
    from pipelines.report.repeating import Compared
    from pipelines.report.report import Report
    from pipelines.runs import Step

PROGRAM = "python -m pipelines benchmark"
Progress = Callable[[], AbstractContextManager[Callable[["Step"], None]]]


def add_to(commands: "argparse._SubParsersAction[argparse.ArgumentParser]", progress: Progress) -> None:
    """Add the command; `progress` shows its steps."""
    about = "shrink pictures, enlarge them back with many models, and compare with the originals"
    parser = commands.add_parser("benchmark", help=about, description=about.capitalize() + ".")
    _add_options(parser)
    parser.set_defaults(command=lambda options: _benchmark(options, progress))


def _add_options(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("images", nargs="*", type=Path, metavar="IMAGE", help="pictures, and folders of pictures")
    add("--protocol", choices=protocols.PROTOCOLS, help="round-trip unless said otherwise")
    add("--scale", type=int, choices=catalog.SCALES, help="how much to shrink by; chained-8x is always by 8")
    add("--models", type=arguments.keys, metavar="KEY,KEY|all", help="models (all but diffusion, unless --stages)")
    add("--stages", type=arguments.stages, action="append", default=[], metavar="KEY:SCALE,KEY:SCALE", help="a chain")
    add("--kernel", choices=protocols.KERNELS, help="how to shrink: bicubic unless said otherwise")
    add("--repeats", type=arguments.count, metavar="N", help="timed runs after the warm-up (3)")
    add("--lpips", action="store_true", help="download what LPIPS needs, unless it is here")
    add("--json", type=Path, metavar="FILE", help="the report; the same command with the same file goes on with it")
    add("--csv", type=Path, metavar="FILE", help="the rows as a table")
    add("--html", type=Path, metavar="FILE", help="the report to read, in one file")
    add("--repeat", type=Path, metavar="REPORT.json", help="measure again what a report says, and compare the scores")


def _benchmark(options: argparse.Namespace, progress: Progress) -> None:
    from pipelines.measuring import run as benchmark
    from pipelines.measuring.conclusions import conclude

    if options.repeat:
        _repeat(options, progress)
        return
    plan = _plan(options)
    pictures, others = benchmark.subjects(options.images)
    if not pictures:
        raise BadPicture("There is no picture to measure on: name files, or folders that hold some.")
    _check_outputs(options, [picture.path for picture in pictures])
    if others:
        such = printable_name(others[0])
        print(f"Not looked at, because not named as pictures are: {such}{_and_others(len(others) - 1)}.")
    report = _measured(plan, pictures, [str(path) for path in options.images], options, progress)
    _print_summary(report)
    if all(row.error for row in report.rows):
        raise UpscaleError(conclude(report.rows).verdict)


def _plan(options: argparse.Namespace) -> "Plan":
    from pipelines.measuring.run import Plan

    protocol, kernel = options.protocol or "round-trip", options.kernel or "bicubic"
    chained = protocol == "chained-8x"
    scale = options.scale or (protocols.CHAINED_SCALE if chained else None)
    if scale is None:
        raise BadSetting("Say by how much to shrink, such as --scale 4.")
    models = options.models
    if models is None:
        models = [] if options.stages and not chained else ["all"]
    found = protocols.contenders(protocol, scale, models, options.stages)
    return Plan(protocol, scale, kernel, found, _repeats(options))


def _repeats(options: argparse.Namespace) -> int:
    return protocols.REPEATS if options.repeats is None else int(options.repeats)


def _check_outputs(options: argparse.Namespace, read: Sequence[Path]) -> None:
    """Refuse before the long part what could not be written after it, or would replace what is read."""
    given = [path for path in (options.json, options.csv, options.html) if path is not None]
    for path in given:
        files.check_writable(path)
        if path.exists() and any(each.exists() and path.samefile(each) for each in read):
            raise CannotWrite(f"{printable_name(path)} cannot be written: it is one of the files to read.")
    if len({path.resolve() for path in given}) < len(given):
        raise CannotWrite("The files of the report must have names of their own.")


def _measured(
    plan: "Plan", pictures: Sequence["Subject"], named: Sequence[str], options: argparse.Namespace, progress: Progress
) -> "Report":
    """Run the plan and write what the options ask for; `named` is how the pictures were named."""
    from pipelines.measuring import run as benchmark
    from pipelines.report import outputs as showing
    from pipelines.report import recording
    from pipelines.report import report as reports
    from pipelines.runs import finish

    path: Path | None = options.json
    with progress() as show, recording.alone(path) if path else nullcontext():
        lpips = _lpips(options, show)
        head = recording.begun(plan, named, command_for(named, plan, options.lpips), lpips)
        earlier = recording.earlier_rows(path, head, plan, pictures) if path else ()
        outputs = showing.Outputs(plan, pictures)

        def follow(step: "Step") -> None:
            show(step)
            if not isinstance(step, benchmark.Scored):
                return
            if path:
                options.cancelled = f"Cancelled; what is done is in {path}, and the same command goes on from there."
            _say(_line(step.row))
            if options.html:
                outputs.keep(step)

        _announce(plan, earlier)
        report = finish(recording.record(benchmark.run(plan, pictures, lpips, earlier), head, path, earlier), follow)
        if options.csv:
            files.write_whole(options.csv, reports.to_csv(report))
        if options.html:
            files.write_whole(options.html, reports.to_html(report, finish(outputs.shown(report), show)))
    return report


def _announce(plan: "Plan", earlier: Sequence["Row"]) -> None:
    """Say how much is about to be downloaded, before it is."""
    from pipelines.phrasing import download
    from pipelines.weights import fetch as weights

    done = {row.model for row in earlier if row.error is None}
    stages = dict.fromkeys(stage for each in plan.contenders if each.key not in done for stage in each.stages)
    for key, scale in stages:
        needed = catalog.weights_for(catalog.find(key), scale)
        if needed is not None and weights.find(needed) is None:
            _say(f"{key} x{scale} is not here: asking for {download(needed.size)}")


def command_for(pictures: Sequence[str], plan: "Plan", lpips: bool = False) -> str:
    """The command that measures the plan on those pictures; what it writes is no part of it."""
    words = [f"./{name}" if name.startswith("-") else name for name in pictures]
    words += ["--protocol", plan.protocol, "--scale", str(plan.scale)]
    models = [each.key for each in plan.contenders if len(each.stages) == 1]
    if models:
        words += ["--models", ",".join(models)]
    for each in plan.contenders:
        if len(each.stages) > 1:
            words += ["--stages", each.key]
    words += ["--kernel", plan.kernel]
    if plan.repeats != protocols.REPEATS:
        words += ["--repeats", str(plan.repeats)]
    if lpips:
        words.append("--lpips")
    return f"{PROGRAM} {shlex.join(words)}"


def _lpips(options: argparse.Namespace, show: Callable[["Step"], None]) -> "Lpips | str":
    """The metric, or why it is not to be had."""
    from pipelines.measuring.metrics import scores as metrics
    from pipelines.phrasing import megabytes
    from pipelines.runs import finish
    from pipelines.weights import fetch as weights

    try:
        if not options.lpips:
            return metrics.load_lpips()
        lacking = [each for each in catalog.METRIC_FILES["lpips"].values() if weights.find(each) is None]
        if lacking:
            _say(f"lpips is not here: asking for {megabytes(sum(each.size for each in lacking))}")
        return finish(metrics.prepare_lpips(), show)
    except UpscaleError as error:
        return str(error)


# --- measuring again ----------------------------------------------------------------------------------------------


def _repeat(options: argparse.Namespace, progress: Progress) -> None:
    """Measure what a report says once more, and print which scores are the same and why the others are not."""
    from pipelines.report import report
    from pipelines.report.repeating import compare

    if options.protocol or options.scale or options.models is not None or options.stages or options.kernel:
        raise BadSetting("--repeat takes protocol, scale, kernel, models and stages from the report.")
    if options.json and options.json.exists():
        raise BadSetting(f"{printable_name(options.json)} is there already; name a new file for the repeated report.")
    try:
        earlier = report.from_json(options.repeat.read_bytes(), options.repeat.name)
    except OSError as error:
        raise BadSetting(f"{options.repeat} cannot be read ({error.strerror}).") from error
    plan = _plan_of(earlier, options)
    named = options.images or _pictures_of(earlier, options.repeat)
    pictures = _wanted(named, earlier)
    if not pictures:
        raise BadPicture(f"None of the pictures of {options.repeat.name} was found; name them after the report.")
    _check_outputs(options, [options.repeat, *(picture.path for picture in pictures)])
    again = _measured(plan, pictures, [str(path) for path in named], options, progress)
    differing = 0
    for each in compare(earlier, again):
        differing += bool(each.reasons)
        print(f"{_name(each.row)}  {_compared(each)}")
    print(f"{len(earlier.rows) - differing} of {len(earlier.rows)} rows have the same scores.")
    if differing:
        raise UpscaleError(f"{differing} of {len(earlier.rows)} rows are not the same as in {options.repeat.name}.")


def _pictures_of(earlier: "Report", path: Path) -> list[Path]:
    """The pictures that the report names, as far as they are here or beside the report."""
    found = []
    for name in earlier.pictures:
        places = (Path(name), path.parent / name, path.parent / Path(name).name)
        found += [place for place in places if place.exists()][:1]
    return found


def _wanted(named: Sequence[Path], earlier: "Report") -> list["Subject"]:
    """Those of the pictures that the report has rows of: the same one where it is here, else what has its name."""
    from pipelines.measuring import run as benchmark

    pictures, _ = benchmark.subjects(named)
    rows = {row.picture for row in earlier.rows}
    exact = [picture for picture in pictures if picture.picture in rows]
    names = {row.image for row in earlier.rows} - {picture.name for picture in exact}
    return [picture for picture in pictures if picture in exact or picture.name in names]


def _plan_of(earlier: "Report", options: argparse.Namespace) -> "Plan":
    """The plan that the rows of a report tell of. Raises BadSetting where they tell of none that can be."""
    from pipelines.measuring.run import Plan

    try:
        chains = [arguments.stages(",".join(row.stages)) for row in earlier.rows if row.stages]
    except argparse.ArgumentTypeError as error:
        raise BadSetting(f"{printable_name(options.repeat)} is damaged: {error}") from None
    models = [catalog.find(row.model).key for row in earlier.rows if not row.stages]
    protocols.check_kernel(earlier.kernel)
    found = protocols.contenders(earlier.protocol, earlier.scale, models, chains)
    repeats = earlier.repeats if options.repeats is None else _repeats(options)
    return Plan(earlier.protocol, earlier.scale, earlier.kernel, found, repeats)


def _compared(each: "Compared") -> str:
    if not each.reasons:
        return "the same"
    changed = [f"{name} {_number(before)}, now {_number(now)}" for name, (before, now) in each.changed.items()]
    return f"{'; '.join(changed) or 'no scores to compare'}: {'; '.join(each.reasons)}"


def _number(value: float | None) -> str:
    return "none" if value is None else f"{value:.6g}"


# --- what is printed ----------------------------------------------------------------------------------------------


def _say(line: str) -> None:
    """Print a line beside the progress bar."""
    from tqdm import tqdm

    tqdm.write(line)


def _and_others(count: int) -> str:
    return f" and {count} {'other' if count == 1 else 'others'}" if count else ""


def _name(row: "Row") -> str:
    return f"{printable_name(Path(row.image))}  {row.model} x{row.scale}"


def _line(row: "Row") -> str:
    """A finished row."""
    from pipelines.measuring.statistics import score
    from pipelines.phrasing import duration

    if row.error:
        return f"{_name(row)}  failed: {row.error}"
    scores = [_score(metric, score(row, metric.key)) for metric in _printed()]
    return "  ".join([_name(row), *filter(None, scores), duration(row.seconds or 0)])


def _print_summary(report: "Report") -> None:
    """Over several pictures, the mean scores of each contender with their intervals; always the verdict."""
    from pipelines.measuring.conclusions import conclude

    found = conclude(report.rows)
    if len({row.picture for row in report.rows}) > 1:
        for entry in found.compared:
            means = [(metric, entry[metric.key]) for metric in _printed()]
            told = [_score(metric, of["mean"], of["low"], of["high"]) for metric, of in means]
            if entry["n"]:
                print(f"mean of {entry['psnr_y']['n']}  {entry['model']}  " + "  ".join(filter(None, told)))
    print(found.verdict)


def _printed() -> list["Metric"]:
    from pipelines.measuring.rows import METRICS

    return [metric for metric in METRICS if metric.key in ("psnr_y", "ssim_y", "lpips", "consistency_psnr")]


def _score(metric: "Metric", mean: float | None, low: float | None = None, high: float | None = None) -> str:
    """A value as it is printed, its 95 % interval behind it; nothing for none."""
    from pipelines.phrasing import number

    if mean is None:
        return ""
    interval = "" if low is None else f" [{number(low, metric.digits)}, {number(high, metric.digits)}]"
    return f"{metric.name} {number(mean, metric.digits)}{interval} {metric.unit}".rstrip()
