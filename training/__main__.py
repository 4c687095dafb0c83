"""The command line: `swift` and `srcnn` train and export a network, `score` measures written files."""

import argparse
import math
import shlex
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from pipelines.errors import CannotWrite, UpscaleError

OUT = Path("trained")
RUNS = Path.home() / ".cache" / "upscale-bench" / "training"
DEEPEST, WIDEST = 256, 1024
LARGEST_NUMBER = 1 << 40  # of steps, and of a seed
LARGEST_BATCH, LARGEST_PATCH = 4096, 4096


def whole_number(least: int, most: int = LARGEST_NUMBER) -> Callable[[str], int]:
    """Returns the function that reads a whole number within these bounds."""

    def read(text: str) -> int:
        number = int(text)
        if not least <= number <= most:
            raise argparse.ArgumentTypeError(f"must be from {least} to {most}, not {number}")
        return number

    read.__name__ = "whole number"
    return read


def learning_rate(text: str) -> float:
    """Reads a learning rate."""
    number = float(text)
    if not 0 < number < math.inf:
        raise argparse.ArgumentTypeError(f"must be a number above 0, not {text}")
    return number


def build_parser() -> argparse.ArgumentParser:
    """Returns the parser with every option."""
    top = argparse.ArgumentParser(prog="python -m training", description="Train the bundled networks.")
    verbs = top.add_subparsers(dest="verb", required=True)
    for name in ("swift", "srcnn"):
        run = verbs.add_parser(name, help=f"train {name} at one scale and write its file and model card")
        run.add_argument("--scale", type=int, choices=(2, 3, 4), required=True)
        run.add_argument("--data", type=Path, nargs="+", required=True, metavar="FOLDER", help="training pictures")
        run.add_argument("--data-note", default="", help="where they come from and their licence, for the model card")
        run.add_argument("--steps", type=whole_number(1), default=20_000)
        run.add_argument("--batch", type=whole_number(1, LARGEST_BATCH), default=16)
        run.add_argument(
            "--patch",
            type=whole_number(1, LARGEST_PATCH),
            default=32,
            help="side of a patch in low-resolution pixels",
        )
        run.add_argument("--rate", type=learning_rate, default=2.5e-3)
        run.add_argument("--seed", type=whole_number(0), default=0)
        run.add_argument("--start", type=Path, metavar="CHECKPOINT", help="another run's, to take equal layers from")
        run.add_argument(
            "--degradations",
            choices=("bicubic", "mixed"),
            default="bicubic",
            help="how the small pictures are made: by antialiased bicubic, or in many ways, JPEG among them",
        )
        run.add_argument("--exact", action="store_true", help="float32 even where bfloat16 is faster")
        run.add_argument("--every", type=whole_number(1), default=500, help="steps between log lines and checkpoints")
        run.add_argument("--runs", type=Path, default=RUNS, metavar="FOLDER", help="checkpoints; not the repository")
        run.add_argument("--out", type=Path, default=OUT, metavar="FOLDER", help="for the file and its card")
        if name == "swift":
            run.add_argument("--width", type=whole_number(1, WIDEST), default=32)
            run.add_argument("--depth", type=whole_number(1, DEEPEST), default=6)
    score = verbs.add_parser("score", help="measure written files on benchmark sets and put the table into their cards")
    score.add_argument("files", type=Path, nargs="+", metavar="FILE")
    score.add_argument("--sets", type=Path, nargs="+", required=True, metavar="FOLDER", help="Set5, Set14, Kodak24")
    return top


def main(arguments: Sequence[str]) -> int:
    """Returns the exit code: 0; 1 with one line on stderr; 130 when interrupted."""
    options = build_parser().parse_args(arguments)
    try:
        if options.verb == "score":
            from training.score import score_files

            score_files(options.files, options.sets)
        else:
            train_and_export(options)
    except UpscaleError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("Interrupted; the same command goes on from the last checkpoint.", file=sys.stderr)
        return 130
    return 0


def train_and_export(options: argparse.Namespace) -> None:
    """Trains and exports one network."""
    from training import data, mixed
    from training.checkpoint import Config
    from training.export import Story, export
    from training.trainer import batch_at, train

    for folder in (options.runs, options.out):
        make_writable(folder)
    files = data.find_pictures(options.data)
    load = mixed.load if options.degradations == "mixed" else data.load
    patches, held_out, notes = load(files, options.scale, options.patch)
    for note in notes:
        print(note, flush=True)
    config = Config(
        network=options.verb,
        scale=options.scale,
        width=getattr(options, "width", 0),
        depth=getattr(options, "depth", 0),
        steps=options.steps,
        batch=options.batch,
        patch=options.patch,
        rate=options.rate,
        seed=options.seed,
        data=data.describe_files(files),
        start=options.start.stem if options.start else "",
        exact=options.exact,
        degradations=options.degradations,
    )
    trained = train(
        config,
        patches,
        held_out,
        options.runs / f"{config.stem}.pt",
        options.start,
        options.every,
        log=lambda line: print(line, flush=True),
        command=command_for(options),
    )
    names = ", ".join(folder.name for folder in options.data)
    count, side = batch_at(config, patches, config.steps - 1)
    story = Story(
        data=options.data_note or f"{len(files)} pictures ({names}); their licence was not given",
        late="" if side == config.patch else f" (last quarter: {count} of {side} px)",
    )
    print(f"wrote {export(trained, config, held_out, story, options.out)}")


def make_writable(folder: Path) -> None:
    """Makes the folder, and sees that a file can be written there: hours later is too late. Raises CannotWrite."""
    probe = folder / ".probe"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe.write_bytes(b"")
        probe.unlink()
    except OSError as error:
        raise CannotWrite(f"Nothing can be written to {folder} ({error.strerror}).") from error


def command_for(options: argparse.Namespace) -> str:
    """Returns what to type for the same result; folders and checkpoints by their names, without where they lie here."""
    words = ["python", "-m", "training", options.verb, "--scale", options.scale, "--steps", options.steps]
    words += ["--batch", options.batch, "--patch", options.patch, "--rate", f"{options.rate:g}"]
    if options.verb == "swift":
        words += ["--width", options.width, "--depth", options.depth]
    words += ["--degradations", options.degradations] * (options.degradations != "bicubic")
    words += ["--seed", options.seed] * (options.seed != 0) + ["--exact"] * options.exact
    words += ["--start", options.start.name] if options.start else []
    return shlex.join(map(str, [*words, "--data", *(folder.resolve().name for folder in options.data)]))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
