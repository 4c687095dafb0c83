"""The table of models: what exists, at which scales, from which files, under which licence.

Plain data: importing this module loads no array, network or page library. Dropdowns, command-line choices, the API's
list and the table of docs/models.md are all made from these rows.
"""

import difflib
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import NamedTuple

from pipelines.catalog import direct_address, hub_address, openmodeldb
from pipelines.catalog.classical import CLASSICAL
from pipelines.catalog.diffusion import DIFFUSION, find_specification, resolve_options
from pipelines.catalog.hub_address import HUB_EXAMPLE as HUB_EXAMPLE
from pipelines.catalog.metric_files import METRIC_FILES
from pipelines.catalog.networks import OWN_NETWORKS, REAL_ESRGAN
from pipelines.catalog.opencv import OPENCV
from pipelines.catalog.openmodeldb import Entry as OpenModelDbEntry
from pipelines.catalog.openmodeldb import read_list as read_openmodeldb
from pipelines.catalog.openmodeldb import search as search_models
from pipelines.catalog.published import EDSR, GANS, SMALL
from pipelines.catalog.purposes import DAMAGED, PURPOSES, Purpose, find_purpose, purpose_of
from pipelines.catalog.schema import (
    COLOUR_FIXES,
    CREATIVITY,
    NAMED_SCALES,
    SCALES,
    TILED,
    File,
    Model,
    Weights,
    as_dict,
)
from pipelines.catalog.settings import (
    CLEANUP_RANGE,
    GUIDANCE_RANGE,
    LONGEST_PROMPT,
    NOISE_LEVEL_RANGE,
    QUALITY_RANGE,
    SEED_RANGE,
    STEPS_RANGE,
    STRENGTH_RANGE,
    USUAL_QUALITY,
    Settings,
    check_accepted,
    check_ranges,
    check_settings,
)
from pipelines.catalog.sizes import FACTOR_RANGE, Size, parse_factor, parse_size
from pipelines.catalog.specification import Options, Specification
from pipelines.errors import BadSetting

__all__ = [
    "AUTO_CLEANUP",
    "CLEANUP_RANGE",
    "COLOUR_FIXES",
    "CREATIVITY",
    "DAMAGED",
    "FACTOR_RANGE",
    "GUIDANCE_RANGE",
    "HUB_EXAMPLE",
    "LICENCES",
    "LONGEST_PROMPT",
    "METRIC_FILES",
    "MODELS",
    "NAMED_SCALES",
    "NOISE_LEVEL_RANGE",
    "NO_CLEANUP",
    "PURPOSES",
    "QUALITY_RANGE",
    "SCALES",
    "SEED_RANGE",
    "STEPS_RANGE",
    "STRENGTH_RANGE",
    "USUAL_QUALITY",
    "Cleanup",
    "File",
    "Model",
    "OpenModelDbEntry",
    "Options",
    "Purpose",
    "Settings",
    "Size",
    "Specification",
    "Stage",
    "Weights",
    "as_dict",
    "check_accepted",
    "check_settings",
    "check_stages",
    "count_parameters",
    "describe_cleanup",
    "find",
    "find_cleaner",
    "find_named",
    "find_owner",
    "find_purpose",
    "find_specification",
    "list_weights",
    "own_key",
    "parse_cleanup",
    "parse_factor",
    "parse_scale",
    "parse_size",
    "parse_stages",
    "purpose_of",
    "read_openmodeldb",
    "resolve_options",
    "search_models",
    "weights_for",
]

NO_CLEANUP, AUTO_CLEANUP = "none", "auto"
MODELS = (*CLASSICAL, *OWN_NETWORKS, *SMALL, *EDSR, *OPENCV, *REAL_ESRGAN, *GANS, *DIFFUSION)
LICENCES = frozenset(model.terms for model in MODELS if model.terms)  # which have to be accepted


def find(key: str) -> Model:
    """The row with that key, or a row for the file that it names, as `find_named` takes it.

    Raises BadSetting where there is none, naming the nearest key.
    """
    for model in MODELS:
        if model.key == key:
            return model
    if "/" in str(key):
        return find_named(str(key))
    for scale in NAMED_SCALES:
        if key == own_key(scale):
            return _row_of_own_file(scale)
    keys = [model.key for model in MODELS]
    close = difflib.get_close_matches(str(key), keys, n=1)
    hint = f"did you mean {close[0]}?" if close else f"there are {', '.join(keys)}."
    raise BadSetting(f"There is no model {str(key)[:60]!r}; {hint}")


def own_key(scale: int) -> str:
    """The key of whatever network a file of one's own holds that enlarges by so much: "own-x4"."""
    return f"own-x{scale}"


def _row_of_own_file(scale: int) -> Model:
    # Its file is always given: nobody is asked for it.
    weights = Weights((File("own", 0),), (), anywhere=False)
    note = "A network of your own, from your file."
    return Model(own_key(scale), "Your file", "gan", "network", {scale: weights}, "yours", False, note, takes=TILED)


def find_named(text: str) -> Model:
    """A row for a file that somebody names: of OpenModelDB as "omdb/NAME", by its https address, or on the Hub.

    Raises BadSetting for what names none.
    """
    if text.strip().startswith(openmodeldb.PREFIX):
        return openmodeldb.find_model(text.strip())
    if direct_address.is_address(text) and not hub_address.is_address(text):
        return direct_address.find_model(text)
    return hub_address.find_model(text)


def find_owner(weights: Weights) -> tuple[Model, int] | None:
    """The row that needs these weights and the first scale at which it does; None where none does."""
    for model in MODELS:
        for scale, needed in model.scales.items():
            if needed == weights:
                return model, scale
    return None


def weights_for(model: Model, scale: int) -> Weights | None:
    """Returns what the model needs at that scale. Raises BadSetting for a scale it does not have."""
    if scale not in model.scales:
        has = ", ".join(f"x{each}" for each in model.scales)
        raise BadSetting(f"{model.name} has no scale x{scale}; it has {has}.")
    return model.scales[scale]


class Stage(NamedTuple):
    """One step of enlarging: the model with that key, at that scale."""

    key: str
    scale: int

    @property
    def model(self) -> Model:
        """Its row. Raises BadSetting as `find` does."""
        return find(self.key)

    @property
    def weights(self) -> Weights | None:
        """Returns what its model needs at its scale. Raises BadSetting for a model or a scale that does not exist."""
        return weights_for(self.model, self.scale)

    def __str__(self) -> str:
        return f"{self.key}:{self.scale}"


def parse_stages(text: str) -> tuple[Stage, ...]:
    """The stages that "key:scale,key:scale" names, in turn; a URL on the Hub becomes its key.

    Whether a model has the scale is not asked here. Raises BadSetting for anything else.
    """
    found = []
    for part in text.split(","):
        name, _, scale = part.rpartition(":")  # the last one: a URL has others
        if scale not in map(str, NAMED_SCALES):
            raise BadSetting(f"{part!r} is not KEY:SCALE, such as lapsrn:4.")
        found.append(Stage(find(name).key, int(scale)))
    return tuple(found)


def check_stages(stages: Sequence[Stage], settings: Settings) -> None:
    """Raises BadSetting for a stage that does not exist, or a setting that none of them can use or is out of its range.

    Nothing is read or fetched for it: what it refuses is refused at the door.
    """
    for stage in stages:
        _ = stage.weights
    check_settings([stage.model for stage in stages], settings)


class Cleanup(NamedTuple):
    """What cleans an image up before it is upscaled: a stage of scale 1 or none; how strongly, where that is told."""

    stages: tuple[Stage, ...] = ()
    strength: float | None = None


def parse_cleanup(given: object) -> Cleanup:
    """Reads "none", "auto", a strength from 0 to 1, or the key of an x1 model. Raises BadSetting for anything else."""
    text = NO_CLEANUP if given is None else str(given).strip()
    if text in ("", NO_CLEANUP):
        return Cleanup()
    strength = None
    with suppress(ValueError):
        strength = float(text)
    if text == AUTO_CLEANUP or strength is not None:
        check_ranges(Settings(cleanup=strength))
        return Cleanup((Stage(find_cleaner().key, 1),), strength)
    row = find(text)
    if 1 not in row.scales:
        raise BadSetting(f"{row.name} upscales by {min(row.scales)}: only an x1 model can clean up first.")
    return Cleanup((Stage(row.key, 1),))


def find_cleaner() -> Model:
    """The model that cleans up as strongly as it is told, or as it finds right itself."""
    return next(row for row in MODELS if row.cleans and "cleanup" in row.takes)


def describe_cleanup(stages: Sequence[Stage]) -> tuple[str, ...]:
    """Returns by which models these stages clean up before they upscale, as a note; none where they do not."""
    names = [stage.model.name for stage in stages if stage.scale == 1]
    return (f"cleaned up first by {' and '.join(names)}",) if names and len(names) < len(stages) else ()


def parse_scale(scale: object) -> int:
    """Reads one of SCALES: 2, "2" or "x2". Raises BadSetting for anything else."""
    for each in SCALES:
        if type(scale) in (str, int) and str(scale) in (str(each), f"x{each}"):
            return each
    known = ", ".join(f"x{each}" for each in SCALES)
    raise BadSetting(f"There is no scale {str(scale)[:60]!r}; there are {known}.")


def count_parameters(model: Model, scale: int) -> int | None:
    """Returns how many parameters the model learned for that scale.

    They are 0 where it needs no weights, None where nobody counted them.
    """
    return 0 if model.scales[scale] is None else model.params.get(scale)


def list_weights(key: str) -> Mapping[str, Weights]:
    """Returns all weights of a model or a metric, by what to call them: "espcn x2", "lpips heads".

    Raises as `find` does.
    """
    if key in METRIC_FILES:
        return {f"{key} {part}": needed for part, needed in METRIC_FILES[key].items()}
    model = find(key)
    # Scales may share their files: the largest stands for all, because the others are made from its result.
    scale_of = {needed: scale for scale, needed in model.scales.items() if needed is not None}
    own = {model.key if model.from_hub else f"{key} x{scale}": needed for needed, scale in scale_of.items()}
    beside = {f"{key} x{scale} beside": needed for scale, needed in model.companions.items()}
    more = {f"{key} {each.files[0].name}": each for each in (*model.more, *filter(None, [model.words]))}
    return own | more | beside | ({f"{key} denoise": model.noisy_twin} if model.noisy_twin else {})
