"""How commands are added, and what their arguments stand for.

Each `parse_` function raises argparse.ArgumentTypeError with one sentence.
"""

import argparse
from collections.abc import Sequence
from typing import Any, NoReturn

from pipelines.catalog import rows as catalog
from pipelines.catalog.rows import Cleanup, Size, Stage
from pipelines.catalog.sizes import LONGEST_SIDE
from pipelines.errors import BadSetting
from pipelines.images.addresses import parse_place
from pipelines.measuring.kernels import check_kernel
from pipelines.measuring.plan import MOST_REPEATS


class Parser(argparse.ArgumentParser):
    """A parser that says what is wrong in one line, not below eight lines of usage."""

    def error(self, message: str) -> NoReturn:
        """Ends the program with code 2."""
        sentence = message[:1].upper() + message[1:]
        self.exit(2, f"{sentence.rstrip('.')}. See {self.prog} --help.\n")

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Lets options stand among many files: argparse itself takes files from the first stretch of them alone."""
        found, rest = super().parse_known_args(args, namespace)
        if rest and "inputs" in vars(found) and not any(each.startswith("-") for each in rest):
            *more, output = rest
            more = [found.output, *more]
            found.inputs, found.output, rest = [*found.inputs, *map(parse_place, more)], output, []
        return found, rest


def add_command(
    commands: "argparse._SubParsersAction[argparse.ArgumentParser]",
    name: str,
    about: str,
    examples: Sequence[str],
    parents: Sequence[argparse.ArgumentParser] = (),
) -> argparse.ArgumentParser:
    """Adds a command with one line on what it does, examples of what may stand behind its name, and --debug."""
    lines = (f"  %(prog)s {example}".rstrip() for example in examples)
    command = commands.add_parser(
        name,
        parents=parents,
        help=about,
        description=f"{about[0].upper()}{about[1:]}.",
        epilog="\n".join(["example:" if len(examples) == 1 else "examples:", *lines]),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_debug(command)
    return command


def add_debug(parser: argparse.ArgumentParser) -> None:
    """Adds --debug, which may stand before or behind each command, as one comes to think of it."""
    # Without a default, or that of a command would take the place of what was given before it.
    parser.add_argument(
        "--debug", action="store_true", default=argparse.SUPPRESS, help="show tracebacks, as UPSCALE_DEBUG=1 does"
    )


def add_licence(parser: argparse.ArgumentParser) -> None:
    """Adds --accept-licence, which accepts those of all models for this command."""
    parser.add_argument(
        "--accept-licence",
        action="store_true",
        dest="accepts",
        help="accept the licence of a model that requires it: SUPIR's excludes commercial use "
        "(github.com/Fanghua-Yu/SUPIR); default: refused, unless UPSCALE_ACCEPT names it",
    )


def parse_key(text: str) -> str:
    """Reads the key of a model."""
    try:
        return catalog.find(text).key
    except BadSetting as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def parse_key_with_files(text: str) -> str:
    """Reads the key of a model, or of a metric that needs files."""
    return text if text in catalog.METRIC_FILES else parse_key(text)


def parse_keys(text: str) -> list[str]:
    """Reads keys of models with commas between, or "all"."""
    return [name if name == "all" else parse_key(name) for name in text.split(",") if name]


def parse_metrics(text: str) -> list[str]:
    """Reads keys of metrics that need files, with commas between."""
    keys = [name for name in text.split(",") if name]
    for key in keys:
        if key not in catalog.METRIC_FILES:
            names = ", ".join(catalog.METRIC_FILES)
            raise argparse.ArgumentTypeError(f"there is no metric {key!r} that needs a download. There is {names}.")
    return keys


def parse_stages(text: str) -> tuple[Stage, ...]:
    """Reads a chain: KEY:SCALE,KEY:SCALE."""
    try:
        return catalog.parse_stages(text)
    except BadSetting as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def parse_cleanup(text: str) -> Cleanup:
    """Reads what cleans up first: none, auto, a strength, or the key of an x1 model."""
    try:
        return catalog.parse_cleanup(text)
    except BadSetting as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def parse_whole(text: str) -> int:
    """Reads a whole number, of whatever range."""
    try:
        return int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text[:20]!r} is not a whole number.") from None


def parse_number(text: str) -> float:
    """Reads a number, of whatever range."""
    try:
        return float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text[:20]!r} is not a number.") from None


def parse_factor(text: str) -> Size:
    """Reads how many times larger an image becomes: a number in FACTOR_RANGE, with or without an x."""
    try:
        return catalog.parse_factor(text)
    except BadSetting as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def parse_side(text: str) -> int:
    """Reads a width or a height in pixels."""
    if not text.isdecimal() or not 0 < int(text) <= LONGEST_SIDE:
        raise argparse.ArgumentTypeError(f"{text[:20]!r} is not a whole number of pixels from 1 to {LONGEST_SIDE}.")
    return int(text)


def parse_scale(text: str) -> int:
    """Reads one of the scales that models have, with or without an x."""
    try:
        return catalog.parse_scale(text)
    except BadSetting as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def parse_quality(text: str) -> int:
    """Reads a quality of JPEG and WebP."""
    least, most = catalog.QUALITY_RANGE
    if not text.isdecimal() or not least <= int(text) <= most:
        raise argparse.ArgumentTypeError(f"{text[:20]!r} is not a whole number from {least} to {most}.")
    return int(text)


def parse_repeats(text: str) -> int:
    """Reads a number of timed runs: a whole number from 0 to MOST_REPEATS."""
    if not text.isdecimal() or int(text) > MOST_REPEATS:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 0 to {MOST_REPEATS}.")
    return int(text)


def parse_kernel(text: str) -> str:
    """Reads a kernel, and the quality of a JPEG after it: KERNEL or KERNEL+jpeg75."""
    try:
        check_kernel(text)
    except BadSetting as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    return text
