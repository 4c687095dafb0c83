"""The command `benchmark`: options in; rows as they finish, the verdict, and the report's files out."""

import argparse
import shlex
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING

from pipelines import arguments, catalog, protocols
from pipelines.errors import BadPicture, BadSetting, CannotWrite, UpscaleError

if TYPE_CHECKING:
    from pipelines.benchmark import Plan, Subject
    from pipelines.metrics import Lpips
    from pipelines.repeating import Compared
    from pipelines.report import Report
    from pipelines.results import Metric, Row
    from pipelines.runs import Step

PROGRAM = "python -m pipelines benchmark"
REPEATS = 3
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
    add("--protocol", choices=protocols.PROTOCOLS, default="round-trip")
    add("--scale", type=int, choices=catalog.SCALES, help="how much to shrink by; chained-8x is always by 8")
    add("--models", type=arguments.keys, metavar="KEY,KEY|all", help="models by themselves (all, unless --stages)")
    add("--stages", type=arguments.stages, action="append", default=[], metavar="KEY:SCALE,KEY:SCALE", help="a chain")
    add("--kernel", choices=protocols.KERNELS, default="bicubic", help="how to shrink")
    add("--repeats", type=arguments.count, default=REPEATS, metavar="N", help="timed runs after the warm-up")
    add("--lpips", action="store_true", help="download what LPIPS needs, unless it is here")
    add("--json", type=Path, metavar="FILE", help="the report; the same command with the same file goes on with it")
    add("--csv", type=Path, metavar="FILE", help="the rows as a table")
    add("--html", type=Path, metavar="FILE", help="the report to read, in one file")
    add("--repeat", type=Path, metavar="REPORT.json", help="measure again what a report says, and compare the scores")


def _benchmark(options: argparse.Namespace, progress: Progress) -> None:
    from pipelines import benchmark
    from pipelines.verdict import verdict

    if options.repeat:
        _repeat(options, progress)
        return
    plan = _plan(options)
    _check_outputs(options)
    pictures, others = benchmark.subjects(options.images)
    if not pictures:
        raise BadPicture("There is no picture to measure on: name files, or folders that hold some.")
    if others:
        print(f"Left out {len(others)} files that are not named as pictures are, such as {others[0].name}.")
    report = _measured(plan, pictures, options, progress)
    _print_summary(report)
    if all(row.error for row in report.rows):
        raise UpscaleError(verdict(report.rows))


def _plan(options: argparse.Namespace) -> "Plan":
    from pipelines.benchmark import Plan

    chained = options.protocol == "chained-8x"
    scale = options.scale or (protocols.CHAINED_SCALE if chained else None)
    if scale is None:
        raise BadSetting("Say by how much to shrink, such as --scale 4.")
    models = options.models
    if models is None:
        models = [] if options.stages and not chained else ["all"]
    found = protocols.contenders(options.protocol, scale, models, options.stages)
    return Plan(options.protocol, scale, options.kernel, found, options.repeats)


def _check_outputs(options: argparse.Namespace) -> None:
    """Refuse before the long part what could not be written after it."""
    from pipelines import files

    given = [path for path in (options.json, options.csv, options.html) if path is not None]
    for path in given:
        files.check_writable(path)
    if len({path.resolve() for path in given}) < len(given):
        raise CannotWrite("The files of the report must have names of their own.")


def _measured(plan: "Plan", pictures: Sequence["Subject"], options: argparse.Namespace, progress: Progress) -> "Report":
    """Run the plan and write what the options ask for."""
    from tqdm import tqdm

    from pipelines import benchmark, files, recording, showing
    from pipelines import report as reports
    from pipelines.runs import finish

    head = recording.begun(plan, command_for([str(path) for path in options.images], plan, options.lpips))
    path: Path | None = options.json
    earlier = recording.earlier_rows(path, head, plan, pictures) if path else ()
    if path:
        options.cancelled = f"Cancelled; what is done is in {path}, and the same command goes on from there."
    with progress() as show:
        lpips = _lpips(options, show)
        outputs = showing.Outputs(plan, pictures)

        def follow(step: "Step") -> None:
            show(step)
            if isinstance(step, benchmark.Scored):
                tqdm.write(_line(step.row))
                if options.html:
                    outputs.keep(step)

        running = benchmark.run(plan, pictures, lpips, earlier)
        report = finish(recording.record(running, head, path, earlier), follow)
        if options.csv:
            files.write_whole(options.csv, reports.to_csv(report))
        if options.html:
            shown = finish(outputs.shown(report), show)
            files.write_whole(options.html, reports.to_html(report, shown))
    return report


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
    if plan.repeats != REPEATS:
        words += ["--repeats", str(plan.repeats)]
    if lpips:
        words.append("--lpips")
    return f"{PROGRAM} {shlex.join(words)}"


def _lpips(options: argparse.Namespace, show: Callable[["Step"], None]) -> "Lpips | str":
    """The metric, or why it is not to be had."""
    from pipelines import metrics
    from pipelines.runs import finish

    try:
        return finish(metrics.prepare_lpips(), show) if options.lpips else metrics.load_lpips()
    except UpscaleError as error:
        if options.lpips:
            raise
        return str(error)


# --- measuring again ----------------------------------------------------------------------------------------------


def _repeat(options: argparse.Namespace, progress: Progress) -> None:
    """Measure what a report says once more, and print which scores are the same and why the others are not."""
    from pipelines import benchmark, report
    from pipelines.repeating import compare

    try:
        earlier = report.from_json(options.repeat.read_bytes(), options.repeat.name)
    except OSError as error:
        raise BadSetting(f"{options.repeat} cannot be read ({error.strerror}).") from error
    named = options.images or _pictures_of(earlier)
    pictures, _ = benchmark.subjects([path for path in named if options.images or path.exists()])
    wanted = {row.image for row in earlier.rows}
    pictures = [picture for picture in pictures if picture.name in wanted]
    if not pictures:
        raise BadPicture(f"None of the pictures of {options.repeat.name} was found; name them after the report.")
    again = _measured(_plan_of(earlier, options.repeats), pictures, options, progress)
    differing = 0
    for each in compare(earlier, again):
        differing += bool(each.reasons)
        print(f"{each.row.image}  {each.row.model} x{each.row.scale}  {_compared(each)}")
    print(f"{len(earlier.rows) - differing} of {len(earlier.rows)} rows have the same scores.")
    if differing:
        raise UpscaleError(f"{differing} of {len(earlier.rows)} rows are not the same as in {options.repeat.name}.")


def _pictures_of(earlier: "Report") -> list[Path]:
    """The pictures that the report's command names."""
    parser = argparse.ArgumentParser(exit_on_error=False)
    _add_options(parser)
    try:
        options = parser.parse_args(shlex.split(earlier.command.removeprefix(PROGRAM)))
    except (ValueError, argparse.ArgumentError):
        return []
    images: list[Path] = options.images
    return images


def _plan_of(earlier: "Report", repeats: int) -> "Plan":
    """The plan that the rows of a report tell of."""
    from pipelines.benchmark import Plan

    chains = [arguments.stages(",".join(row.stages)) for row in earlier.rows if row.stages]
    models = [row.model for row in earlier.rows if not row.stages]
    found = protocols.contenders(earlier.protocol, earlier.scale, models, chains)
    return Plan(earlier.protocol, earlier.scale, earlier.kernel, found, repeats)


def _compared(each: "Compared") -> str:
    if not each.reasons:
        return "the same"
    changed = [f"{name} {_number(before)}, now {_number(now)}" for name, (before, now) in each.changed.items()]
    return f"{'; '.join(changed) or 'no scores to compare'}: {'; '.join(each.reasons)}"


def _number(value: float | None) -> str:
    return "none" if value is None else f"{value:.6g}"


# --- what is printed ----------------------------------------------------------------------------------------------


def _line(row: "Row") -> str:
    """A finished row."""
    what = f"{row.image}  {row.model} x{row.scale}  "
    if row.error:
        return f"{what}failed: {row.error}"
    scores = [_score(metric, getattr(row, metric.key)) for metric in _printed()]
    return what + "  ".join([*filter(None, scores), f"{row.seconds:.3g} s"])


def _print_summary(report: "Report") -> None:
    """Over several pictures, the mean scores of each contender with their intervals; always the verdict."""
    from pipelines.statistics import summarise
    from pipelines.verdict import verdict

    if len({row.picture for row in report.rows}) > 1:
        for entry in summarise(report.rows):
            if not entry["n"]:
                continue
            found = [(metric, entry[metric.key]) for metric in _printed()]
            means = [_score(metric, of["mean"], of["low"], of["high"]) for metric, of in found]
            print(f"mean of {entry['n']}  {entry['model']}  " + "  ".join(filter(None, means)))
    print(verdict(report.rows))


def _printed() -> list["Metric"]:
    from pipelines.results import METRICS

    return [metric for metric in METRICS if metric.key in ("psnr_y", "ssim_y", "lpips", "consistency_psnr")]


def _score(metric: "Metric", mean: float | None, low: float | None = None, high: float | None = None) -> str:
    """A value as it is printed, its 95 % interval behind it; nothing for none."""
    if mean is None:
        return ""
    interval = "" if low is None or high is None else f" [{low:.{metric.digits}f}, {high:.{metric.digits}f}]"
    return f"{metric.name} {mean:.{metric.digits}f}{interval}{' ' * bool(metric.unit)}{metric.unit}"
