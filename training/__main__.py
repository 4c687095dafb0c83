"""The command line: a network's name trains and exports it, `score` measures written files."""

import argparse
import math
import shlex
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pipelines import environment
from pipelines.errors import BadSetting, CannotWrite, UpscaleError

if TYPE_CHECKING:
    from training.checkpoint import Config
    from training.data import Pair, Supply
    from training.losses import Loss
    from training.trainer import Aim

OUT = Path("trained")
RUNS = Path.home() / ".cache" / "upscale-bench" / "training"
DEEPEST, WIDEST = 256, 1024
FULL_WIDTH = 64  # of SRGAN's generator: of a narrower one the discriminator is narrower as well
LARGEST_NUMBER = 1 << 40  # of steps, and of a seed
LARGEST_BATCH, LARGEST_PATCH = 4096, 4096


@dataclass(frozen=True, slots=True)
class Usual:
    """A network's usual run, and what can be chosen of it."""

    scales: tuple[int, ...]  # one alone is not asked for
    rate: float
    width: int = 0  # 0: the network has one width
    depth: int = 0
    batch: int = 16
    patch: int = 32
    loss: str = "luma"
    degradations: tuple[str, ...] = ("bicubic", "mixed")  # the first one is the usual


USUAL = {
    "swift": Usual((2, 3, 4), 2.5e-3, 32, 6),
    "srcnn": Usual((2, 3, 4), 2.5e-3),
    "autoencoder": Usual((1,), 1e-3, 64, 5, 8, patch=64, loss="l1", degradations=("damaged",)),
    "srresnet": Usual((2, 4), 1e-4, 64, 16, patch=24, loss="l2"),
    "srgan": Usual((2, 4), 1e-4, 64, 16, patch=24, loss="vgg=1,adversarial=0.001"),
    "rcan": Usual((2, 3, 4), 1e-4, 64, 10, patch=48, loss="l1"),
    "edsr-base": Usual((2, 3, 4), 1e-4, 64, 16, patch=48, loss="l1"),
    "estimate": Usual((1,), 2e-3, batch=32, patch=64, loss="estimate", degradations=("judged",)),
}


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


def share(text: str) -> float:
    """Reads a share above 0, of 1 at most."""
    number = float(text)
    if not 0 < number <= 1:
        raise argparse.ArgumentTypeError(f"must be above 0 and at most 1, not {text}")
    return number


def build_parser() -> argparse.ArgumentParser:
    """Returns the parser with every option."""
    top = argparse.ArgumentParser(prog="python -m training", description="Train the bundled networks.")
    verbs = top.add_subparsers(dest="verb", required=True)
    for name, usual in USUAL.items():
        add_network(verbs.add_parser(name, help=f"train {name} and write its file and model card"), usual)
    score = verbs.add_parser("score", help="measure written files on benchmark sets and put the table into their cards")
    score.add_argument("files", type=Path, nargs="+", metavar="FILE")
    score.add_argument("--sets", type=Path, nargs="+", required=True, metavar="FOLDER", help="Set5, Set14, Kodak24")
    return top


def add_network(run: argparse.ArgumentParser, usual: Usual) -> None:
    """Adds the options of one network's run."""
    if len(usual.scales) > 1:
        run.add_argument("--scale", type=int, choices=usual.scales, required=True)
    run.add_argument("--data", type=Path, nargs="+", required=True, metavar="FOLDER", help="training images")
    run.add_argument("--data-note", default="", help="where they come from and their licence, for the model card")
    run.add_argument("--steps", type=whole_number(1), default=20_000)
    run.add_argument("--batch", type=whole_number(1, LARGEST_BATCH), default=usual.batch)
    run.add_argument(
        "--patch",
        type=whole_number(1, LARGEST_PATCH),
        default=usual.patch,
        help="side of a patch in low-resolution pixels",
    )
    run.add_argument("--rate", type=learning_rate, default=usual.rate)
    run.add_argument("--seed", type=whole_number(0), default=0)
    run.add_argument(
        "--start", type=Path, metavar="FILE", help="a checkpoint, or a .safetensors file, to take equal layers from"
    )
    if len(usual.degradations) > 1:
        run.add_argument(
            "--degradations",
            choices=usual.degradations,
            default=usual.degradations[0],
            help="how the small pictures are made: by antialiased bicubic, or in many ways, JPEG among them",
        )
    if "bicubic" in usual.degradations:
        run.add_argument(
            "--teacher", type=Path, metavar="FILE", help="a larger network of the same scale, to learn from as well"
        )
        run.add_argument(
            "--teacher-share", type=share, default=0.5, help="how much of the target is the teacher's output (0.5)"
        )
    if usual.loss != "estimate":
        run.add_argument(
            "--loss",
            default=usual.loss,
            help="losses and their weights, such as vgg=1,adversarial=0.001; there are luma, l1, l2, psnr, ms-ssim, "
            "tv, vgg and adversarial",
        )
        run.add_argument("--vgg", type=Path, metavar="FILE", help="VGG19, instead of downloading it where a loss asks")
    run.add_argument("--exact", action="store_true", help="float32 even where bfloat16 is faster")
    run.add_argument("--every", type=whole_number(1), default=500, help="steps between log lines and checkpoints")
    run.add_argument("--runs", type=Path, default=RUNS, metavar="FOLDER", help="checkpoints; not the repository")
    run.add_argument("--out", type=Path, default=OUT, metavar="FOLDER", help="for the file and its card")
    if usual.width:
        run.add_argument("--width", type=whole_number(1, WIDEST), default=usual.width)
        run.add_argument("--depth", type=whole_number(1, DEEPEST), default=usual.depth)


def main(arguments: Sequence[str]) -> int:
    """Returns the exit code: 0; 1 with one line on stderr; 130 when interrupted."""
    options = build_parser().parse_args(arguments)
    environment.let_threads_sleep()
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
        print("Interrupted. The same command continues from the last checkpoint.", file=sys.stderr)
        return 130
    return 0


def train_and_export(options: argparse.Namespace) -> None:
    """Trains and exports one network."""
    from training import data
    from training.checkpoint import Config
    from training.export import Story, export
    from training.trainer import aim_at, batch_at, train

    for folder in (options.runs, options.out):
        make_writable(folder)
    files = data.find_pictures(options.data)
    usual = USUAL[options.verb]
    config = Config(
        network=options.verb,
        scale=getattr(options, "scale", usual.scales[0]),
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
        degradations=getattr(options, "degradations", usual.degradations[0]),
        loss=getattr(options, "loss", usual.loss),
        teacher=options.teacher.name if getattr(options, "teacher", None) else "",
        teacher_share=options.teacher_share if getattr(options, "teacher", None) else 0.0,
    )
    more = load_losses(config.loss, getattr(options, "vgg", None))
    patches, held_out, notes = load_pictures(config, files)
    for note in notes:
        print(note, flush=True)
    if config.teacher:
        patches = learn_from(options.teacher, config, patches)
    trained = train(
        config,
        patches,
        aim_at(config, held_out, more, config.width / FULL_WIDTH) if isinstance(held_out, list) else held_out,
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


def load_losses(text: str, vgg: Path | None) -> "dict[str, Loss]":
    """Reads what the losses named need, before the pictures are. Raises BadSetting, BadWeights, WeightsUnavailable."""
    from training import losses, perceptual

    if text == "estimate" or losses.VGG not in losses.parse_losses(text):
        return {}
    return {losses.VGG: perceptual.perceptual_loss(perceptual.read_vgg(vgg))}


def load_pictures(config: "Config", files: Sequence[Path]) -> "tuple[Supply, list[Pair] | Aim, list[str]]":
    """What the network is trained on and held against, and one line for each kind of file left out."""
    from training import data, estimating, mixed

    if config.degradations == "judged":
        return estimating.load(files, config.patch)
    if config.degradations == "bicubic":
        return data.load(files, config.scale, config.patch)
    load = mixed.load_damaged if config.degradations == "damaged" else mixed.load
    return load(files, config.scale, config.patch)


def learn_from(teacher: Path, config: "Config", patches: "Supply") -> "Supply":
    """The patches with a share of the teacher's output in what the network is held against. Raises BadSetting."""
    from training.data import Patches
    from training.teaching import teach

    if not isinstance(patches, Patches):
        raise BadSetting("A teacher works on clean small images: leave out --degradations mixed, or --teacher.")
    return teach(patches, teacher, config.teacher_share, log=lambda line: print(line, flush=True))


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
    words = ["python", "-m", "training", options.verb]
    words += ["--scale", options.scale] if "scale" in options else []
    words += ["--steps", options.steps, "--batch", options.batch, "--patch", options.patch]
    words += ["--rate", f"{options.rate:g}"]
    words += ["--width", options.width, "--depth", options.depth] if "width" in options else []
    words += (
        ["--degradations", options.degradations] if getattr(options, "degradations", "bicubic") != "bicubic" else []
    )
    loss = getattr(options, "loss", "")
    words += ["--loss", loss] * (loss not in ("", USUAL[options.verb].loss))
    words += ["--seed", options.seed] * (options.seed != 0) + ["--exact"] * options.exact
    words += ["--start", options.start.name] if options.start else []
    if getattr(options, "teacher", None):
        words += ["--teacher", options.teacher.name, "--teacher-share", f"{options.teacher_share:g}"]
    return shlex.join(map(str, [*words, "--data", *(folder.resolve().name for folder in options.data)]))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
