"""The command `weights`: list, download and check the models' files."""

import argparse
from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import TYPE_CHECKING

from pipelines.catalog import rows as catalog
from pipelines.catalog.schema import Weights
from pipelines.catalog.settings import Settings
from pipelines.cli import arguments
from pipelines.cli.progress import show_progress
from pipelines.environment import MEGA
from pipelines.errors import BadSetting, NobodyOffers, UpscaleError, WeightsUnavailable

if TYPE_CHECKING:
    from pipelines.weights.local import Found

LABEL_WIDTH = 27  # characters: as wide as the longest name of some weights, "real-esrgan-general denoise"


def add_to(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Adds the command with its actions."""
    add = arguments.add_command
    weights = add(
        commands,
        "weights",
        "list, download or check the models' files",
        ("list", "pull real-esrgan lpips", "verify"),
    )
    actions = weights.add_subparsers(required=True, metavar="ACTION")
    listing = add(actions, "list", "each file, its size, where it is and how it is pinned", ("",))
    listing.set_defaults(command=_list)
    pull = add(actions, "pull", "download the files of these models and metrics", ("real-esrgan lpips",))
    pull.add_argument(
        "keys",
        nargs="+",
        type=arguments.parse_key_with_files,
        metavar="KEY",
        help="a key that the command models lists, or a metric (lpips, dists, niqe); files already here are kept",
    )
    arguments.add_licence(pull)
    pull.set_defaults(command=_pull)
    verify = add(actions, "verify", "download and hash every file of every model and metric", ("",))
    arguments.add_licence(verify)
    verify.set_defaults(command=_verify)


def _list(options: argparse.Namespace) -> None:
    from pipelines.weights import fetch as weights

    for label, needed in list_files(list_keys()):
        found = weights.find(needed)
        where = ", ".join(dict.fromkeys(file.origin for file in found)) if found else "not here"
        pins = ", ".join(dict.fromkeys(file.pin for file in needed.files))
        print(f"{label:<{LABEL_WIDTH}} {needed.size / MEGA:8.2f} MB  {where:<14} {pins}")


def _pull(options: argparse.Namespace) -> None:
    from pipelines.phrasing import format_download
    from pipelines.runs import finish
    from pipelines.weights import fetch as weights

    for key in options.keys:
        _check_licence(key)
    chosen = dict(list_files(options.keys))
    lacking = [each.size for each in chosen.values() if each.sources and weights.find(each) is None]
    if len(lacking) > 1:
        print(f"downloading {format_download(sum(lacking))} in all", flush=True)
    with show_progress() as show:
        for label, needed in chosen.items():
            _announce(label, needed)
            for file in finish(weights.fetch(needed), show):
                print(f"{label:<{LABEL_WIDTH}} {file.path} ({file.origin}, {file.proof})")


def _verify(options: argparse.Namespace) -> None:
    """Every file of every row, fetched and hashed; a row that fails does not stop the others.

    What nobody offers is no failure: it is hashed where it is in a folder of one's own, and else there is no such file.
    """
    from pipelines.runs import finish
    from pipelines.weights import fetch as weights

    failed = 0
    keys = list_keys()
    for key in tuple(keys):
        try:
            _check_licence(key)
        except BadSetting as error:
            print(f"{key:<{LABEL_WIDTH}} left out: {error}")
            keys.remove(key)
    with show_progress() as show:
        for label, needed in list_files(keys):
            with suppress(UpscaleError):  # which `verify` tells
                _announce(label, needed)
            results = finish(weights.verify(needed), show)
            failed += sum(isinstance(file, UpscaleError) and not isinstance(file, NobodyOffers) for file in results)
            lines = (f"{label:<{LABEL_WIDTH}} {_verified(file, needed)}" for file in results)
            print("\n".join(dict.fromkeys(lines)))  # what a source refuses, it refuses for all files alike
    if failed:
        raise WeightsUnavailable(f"{failed} files could not be verified.")


def _check_licence(key: str) -> None:
    """Raises BadSetting for a model whose licence has to be accepted, and is not."""
    if key not in catalog.METRIC_FILES:
        catalog.check_accepted([catalog.find(key)], Settings())


def _verified(file: "Found | UpscaleError", needed: Weights) -> str:
    if isinstance(file, NobodyOffers):
        return "unavailable: nobody offers these files, and UPSCALE_WEIGHTS_DIR does not have them"
    if isinstance(file, UpscaleError):
        return f"failed: {file}"
    name = file.file.name if len(needed.files) == 1 else file.file.path
    return f"{name:<28} {file.proof:<14} sha256 {file.sha256} ({file.origin})"


def _announce(label: str, needed: Weights) -> None:
    """Says how much is about to be downloaded, before it is."""
    from pipelines.phrasing import format_download
    from pipelines.weights import fetch as weights

    if needed.sources and weights.find(needed) is None:
        print(f"{label:<{LABEL_WIDTH}} is not here: downloading {format_download(needed.size)}", flush=True)


def list_files(keys: Iterable[str]) -> Iterator[tuple[str, Weights]]:
    """All weights of these models and metrics, by what to call them."""
    for key in keys:
        yield from catalog.list_weights(key).items()


def list_keys() -> list[str]:
    """The keys of all models, then of the metrics that need files."""
    return [*(model.key for model in catalog.MODELS), *catalog.METRIC_FILES]
