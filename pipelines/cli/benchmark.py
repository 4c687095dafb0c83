"""The command `benchmark`: options in; rows as they finish, the verdict, and the report's files out."""

import argparse
from collections.abc import Callable, Collection, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

from pipelines import USUAL_SCALE, files
from pipelines.catalog import rows as catalog
from pipelines.cli import arguments
from pipelines.cli.benchmark_text import describe_row, name_row, print_summary, say
from pipelines.errors import BadPicture, BadSetting, UpscaleError
from pipelines.images.addresses import Place, parse_place
from pipelines.measuring.kernels import KERNEL_NAMES
from pipelines.measuring.plan import MOST_REPEATS, REPEATS
from pipelines.measuring.protocols import PROTOCOLS, ROUND_TRIP, find_protocol
from pipelines.phrasing import printable_name

if TYPE_CHECKING:
    from pipelines.measuring.run import Judges, Plan, Row, Subject
    from pipelines.report.report import Compared, Report
    from pipelines.runs import Step

Progress = Callable[[], AbstractContextManager[Callable[["Step"], None]]]


def add_to(commands: "argparse._SubParsersAction[argparse.ArgumentParser]", progress: Progress) -> None:
    """Adds the command; `progress` shows its steps."""
    parser = arguments.add_command(
        commands,
        "benchmark",
        "shrink images, upscale them back with many models, and compare with the originals",
        (
            "photo.png --scale 4 --html report.html --latex table.tex",
            "photo.png --scale 4 --kernel bicubic+jpeg75 --metrics lpips",
            "holiday/ --scale 2 --models bicubic,lapsrn,espcn --json report.json",
            "photo.png --protocol chained-8x --stages lapsrn:4,espcn:2",
            "--repeat report.json",
        ),
    )
    _add_options(parser)
    parser.set_defaults(command=lambda options: _benchmark(options, progress))


def _add_options(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add(
        "images",
        nargs="*",
        type=parse_place,
        metavar="IMAGE",
        help="images, or folders of images, by path or by an address such as hf://datasets/OWNER/NAME/FOLDER or "
        "s3://BUCKET/FOLDER",
    )
    add("--protocol", choices=[each.key for each in PROTOCOLS], help=f"how to measure; default {ROUND_TRIP.key}")
    add(
        "--scale",
        type=arguments.parse_scale,
        metavar="N",
        help=f"how much to shrink by: {', '.join(map(str, catalog.SCALES))}; default {USUAL_SCALE}, but chained-8x is "
        "always by 8",
    )
    add(
        "--models",
        type=arguments.parse_keys,
        metavar="KEY,KEY|all",
        help="the models to measure; all means every model of that scale except diffusion; default: those that need no "
        "download; with --stages none, unless the protocol is chained-8x",
    )
    add(
        "--stages",
        type=arguments.parse_stages,
        action="append",
        default=[],
        metavar="KEY:SCALE,KEY:SCALE",
        help="a chain to measure; may be given several times; default none",
    )
    add(
        "--kernel",
        type=arguments.parse_kernel,
        metavar="KERNEL[+jpegQ]",
        help=f"how to shrink: {', '.join(KERNEL_NAMES)}; an ending such as bicubic+jpeg75 also stores the small image "
        f"as a JPEG of that quality (1 to 100); default {KERNEL_NAMES[0]}",
    )
    add(
        "--repeats",
        type=arguments.parse_repeats,
        metavar="N",
        help=f"timed runs after the warm-up; 0 to {MOST_REPEATS}, default {REPEATS}",
    )
    add(
        "--metrics",
        type=arguments.parse_metrics,
        default=[],
        metavar="KEY,KEY",
        help=f"download the files of these metrics ({', '.join(catalog.METRIC_FILES)}) unless here; default none",
    )
    add("--lpips", action="store_true", help="the same as --metrics lpips; default: LPIPS only if it is here")
    add(
        "--json",
        type=Path,
        metavar="FILE",
        help="write the report; the same command with the same file continues it",
    )
    add("--csv", type=Path, metavar="FILE", help="write the rows as a table")
    add("--html", type=Path, metavar="FILE", help="write a report to read, in one file")
    add("--markdown", type=Path, metavar="FILE", help="write the verdict and the summary as Markdown")
    add("--latex", type=Path, metavar="FILE", help="write the summary as a LaTeX table")
    add(
        "--overwrite",
        action="store_true",
        help="let these options, except --json, replace files that are not reports; default: refused",
    )
    add(
        "--on",
        metavar="ray[://HOST:PORT]",
        help="run on a Ray cluster whose machines all see the images at the same paths or addresses; ray alone is this "
        "machine, or the cluster that RAY_ADDRESS names; default: no cluster",
    )
    add(
        "--workers",
        type=arguments.parse_whole,
        metavar="N",
        help="with --on, how many measure at once; default one per GPU, or per processor core without a GPU",
    )
    arguments.add_licence(parser)
    add("--repeat", type=Path, metavar="REPORT.json", help="repeat the measurements of a report and compare the scores")


def _benchmark(options: argparse.Namespace, progress: Progress) -> None:
    from pipelines.measuring import on_ray
    from pipelines.measuring import run as benchmark

    if options.on:
        on_ray.check(options.on, options.workers)
    elif options.workers is not None:
        raise BadSetting("--workers is for a cluster: give --on ray too.")
    if options.repeat:
        _repeat(options, progress)
        return
    plan = _plan(options)
    pictures, others = benchmark.list_subjects(options.images)
    if not pictures:
        raise BadPicture("There is no image to measure. Name image files, or folders with images in them.")
    _check_outputs(options, [picture.place for picture in pictures])
    for line in benchmark.describe_passed_over(others):
        print(line)
    report = _measured(plan, pictures, [str(path) for path in options.images], options, progress)
    print_summary(report)
    if all(row.error for row in report.rows):
        raise UpscaleError(benchmark.conclude(report.rows).verdict)


def _plan(options: argparse.Namespace) -> "Plan":
    from pipelines.measuring.run import Plan, resolve_contenders

    protocol, kernel = find_protocol(options.protocol or ROUND_TRIP.key), options.kernel or KERNEL_NAMES[0]
    scale = options.scale or protocol.fixed_scale or USUAL_SCALE
    found = resolve_contenders(protocol.key, scale, options.models, options.stages)
    repeats = REPEATS if options.repeats is None else options.repeats
    return Plan(protocol.key, scale, kernel, found, repeats)


def _check_outputs(options: argparse.Namespace, read: Sequence[Place]) -> None:
    from pipelines.report import report as reports

    given = {kind: getattr(options, kind) for kind in reports.REPORT_KINDS}
    paths = {kind: path for kind, path in given.items() if path is not None}
    reports.check_outputs(paths, read, overwrite=options.overwrite)


def _measured(
    plan: "Plan", pictures: Sequence["Subject"], named: Sequence[str], options: argparse.Namespace, progress: Progress
) -> "Report":
    """Runs the plan and writes what the options ask for; `named` is how the pictures were named."""
    from pipelines.measuring import on_ray
    from pipelines.measuring import run as benchmark
    from pipelines.report import report as reports
    from pipelines.runs import finish

    path: Path | None = options.json
    with (
        progress() as show,
        reports.lock_report(path) if path else nullcontext(),
        reports.temporary_folder() as folder,
    ):
        metrics = dict.fromkeys([*(["lpips"] if options.lpips else []), *options.metrics])
        judges = _judges(metrics, show)
        command = reports.make_command(named, plan, metrics)
        head = reports.start_report(plan, named, command, judges)
        earlier = reports.read_earlier_rows(path, head, plan, pictures) if path else ()
        outputs = reports.Outputs(folder, pictures, plan.scale, most=reports.MOST_SHOWN)

        def follow(step: "Step") -> None:
            show(step)
            if not isinstance(step, benchmark.Scored):
                return
            if path:
                options.cancelled = (
                    f"Cancelled. Finished rows are in {path}, and the same command continues from there."
                )
            say(describe_row(step.row))
            if options.html:
                outputs.keep(step)

        _announce(plan, earlier)
        if options.on:
            running = on_ray.run(plan, pictures, judges, earlier, options.on, options.workers)
        else:
            running = benchmark.run(plan, pictures, judges, earlier)
        expected = len(pictures) * len(plan.contenders)
        report = finish(reports.record_rows(running, head, path, earlier, expected), follow)
        for path, write in (
            (options.csv, reports.to_csv),
            (options.markdown, reports.to_markdown),
            (options.latex, reports.to_latex),
        ):
            if path:
                files.write_whole(path, write(report))
        if options.html:
            sections = finish(reports.make_sections(report, plan, outputs), show)
            files.write_whole(options.html, reports.to_html(report, sections))
    return report


def _announce(plan: "Plan", earlier: Sequence["Row"]) -> None:
    """Says how much is about to be downloaded, before it is."""
    from pipelines.phrasing import format_download
    from pipelines.weights import fetch as weights

    done = {row.model for row in earlier if row.error is None}
    stages = dict.fromkeys(stage for each in plan.contenders if each.key not in done for stage in each.stages)
    for stage in stages:
        if stage.weights is not None and weights.find(stage.weights) is None:
            say(f"{stage.key} x{stage.scale} is not here: downloading {format_download(stage.weights.size)}")


def _judges(metrics: Collection[str], show: Callable[["Step"], None]) -> "Judges":
    """Returns what the metrics need; of those that were asked for it is downloaded where it lacks."""
    from pipelines.measuring.run import fetch_judges, find_missing_files, load_judges
    from pipelines.phrasing import format_bytes
    from pipelines.runs import finish

    if not metrics:
        return load_judges()
    for key in metrics:
        if lacking := find_missing_files(key):
            say(f"{key} is not here: downloading {format_bytes(sum(each.size for each in lacking))}")
    return finish(fetch_judges(metrics), show)


# --- measuring again ----------------------------------------------------------------------------------------------


def _repeat(options: argparse.Namespace, progress: Progress) -> None:
    """Measures what a report says once more, and prints which scores are the same and why the others are not."""
    from pipelines.report import report as reports

    if options.protocol or options.scale or options.models is not None or options.stages or options.kernel:
        raise BadSetting("--repeat takes protocol, scale, kernel, models and stages from the report.")
    if options.json and options.json.exists():
        raise BadSetting(f"{printable_name(options.json)} already exists. Name a new file for the repeated report.")
    earlier = reports.read_report(options.repeat)
    repeats = earlier.repeats if options.repeats is None else options.repeats
    plan = reports.plan_of(earlier, printable_name(options.repeat), repeats)
    named = options.images or reports.find_pictures(earlier, options.repeat)
    pictures = reports.find_subjects(earlier, named)
    if not pictures:
        raise BadPicture(f"None of the images of {options.repeat.name} was found. Name them after the report.")
    _check_outputs(options, [options.repeat, *(picture.place for picture in pictures)])
    again = _measured(plan, pictures, [str(path) for path in named], options, progress)
    differing = 0
    for each in reports.compare_reports(earlier, again):
        differing += bool(each.reasons)
        print(f"{name_row(each.row)}  {_compared(each)}")
    print(f"{len(earlier.rows) - differing} of {len(earlier.rows)} rows have the same scores.")
    if differing:
        raise UpscaleError(f"{differing} of {len(earlier.rows)} rows are not the same as in {options.repeat.name}.")


def _compared(each: "Compared") -> str:
    if not each.reasons:
        return "the same"
    changed = [f"{name} {_number(before)}, now {_number(now)}" for name, (before, now) in each.changed.items()]
    return f"{'; '.join(changed) or 'no scores to compare'}: {'; '.join(each.reasons)}"


def _number(value: float | None) -> str:
    return "none" if value is None else f"{value:.6g}"
