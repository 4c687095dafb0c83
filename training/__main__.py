"""The command line: `swift` and `srcnn` train and export a network, `score` measures written files."""

import argparse
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from pipelines.errors import UpscaleError

BUNDLED = Path(__file__).parent.parent / "pipelines" / "bundled"
RUNS = Path.home() / ".cache" / "upscale-bench" / "training"


def parser() -> argparse.ArgumentParser:
    """Every option, with the defaults that made the bundled files."""
    top = argparse.ArgumentParser(prog="python -m training", description="Trains the networks in pipelines/bundled.")
    verbs = top.add_subparsers(dest="verb", required=True)
    for name in ("swift", "srcnn"):
        run = verbs.add_parser(name, help=f"train {name} at one scale and write its file and model card")
        run.add_argument("--scale", type=int, choices=(2, 3, 4), required=True)
        run.add_argument("--data", type=Path, nargs="+", required=True, metavar="FOLDER", help="training pictures")
        run.add_argument("--data-note", default="", help="where they come from and their licence, for the model card")
        run.add_argument("--steps", type=int, default=20_000)
        run.add_argument("--batch", type=int, default=16)
        run.add_argument("--patch", type=int, default=32, help="side of a patch in low-resolution pixels")
        run.add_argument("--rate", type=float, default=2.5e-3)
        run.add_argument("--seed", type=int, default=0)
        run.add_argument("--start", type=Path, metavar="CHECKPOINT", help="another run's, to take equal layers from")
        run.add_argument("--exact", action="store_true", help="float32 even where bfloat16 is faster")
        run.add_argument("--every", type=int, default=500, help="steps between log lines and checkpoints")
        run.add_argument("--runs", type=Path, default=RUNS, metavar="FOLDER", help="checkpoints; not the repository")
        run.add_argument("--out", type=Path, default=BUNDLED, metavar="FOLDER")
        if name == "swift":
            run.add_argument("--width", type=int, default=32)
            run.add_argument("--depth", type=int, default=6)
    score = verbs.add_parser("score", help="measure written files on benchmark sets and put the table into their cards")
    score.add_argument("files", type=Path, nargs="+", metavar="FILE")
    score.add_argument("--sets", type=Path, nargs="+", required=True, metavar="FOLDER", help="Set5, Set14, Kodak24")
    return top


def main(arguments: Sequence[str]) -> int:
    """Exit code 0, or 1 with one line on stderr."""
    options = parser().parse_args(arguments)
    try:
        if options.verb == "score":
            from training.score import score

            score(options.files, options.sets)
        else:
            run(options, arguments)
    except UpscaleError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def run(options: argparse.Namespace, arguments: Sequence[str]) -> None:
    """Train and export one network."""
    from training import data
    from training.export import Story, export
    from training.trainer import Config, train

    files = data.find(options.data)
    patches, held_out, notes = data.load(files, options.scale, options.patch)
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
        pictures=len(files),
    )
    trained = train(
        config,
        patches,
        held_out,
        options.runs / f"{options.verb}-x{options.scale}.pt",
        options.start,
        options.exact,
        options.every,
        log=lambda line: print(line, flush=True),
    )
    names = ", ".join(folder.name for folder in options.data)
    story = Story(
        data=options.data_note or f"{len(files)} pictures ({names}); their licence was not given",
        command=command(arguments),
        start=options.start.stem if options.start else "random weights",
    )
    print(f"wrote {export(trained, config, held_out, story, options.out)}")


def command(arguments: Sequence[str]) -> str:
    """What to type for the same result: without the places that only this machine has."""
    kept = list(arguments)
    for place in ("--out", "--runs"):
        if place in kept:
            at = kept.index(place)
            del kept[at : at + 2]
    return shlex.join(["python", "-m", "training", *kept]).replace(str(Path.home()), "~")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
