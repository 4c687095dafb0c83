"""Who takes part in a benchmark: single models, and chains of them."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from pipelines.catalog import rows as catalog
from pipelines.catalog.rows import Settings, Stage
from pipelines.errors import BadSetting, UpscaleError
from pipelines.measuring.protocol import Protocol
from pipelines.measuring.protocols import find_protocol
from pipelines.upscalers.loading import find_lacking

MEASURED_WITH = Settings(seed=0, prompt="", negative_prompt="")


@dataclass(frozen=True, slots=True)
class Contender:
    """One way to enlarge: its stages in turn; one stage is a model alone.

    `accepted` is whether who asks accepts the licences of its models.
    """

    stages: tuple[Stage, ...]
    accepted: bool = False

    @property
    def key(self) -> str:
        """Returns what a report calls it: the model's key, or "first:4,second:2"."""
        return ",".join(self.named_stages) if self.is_chain else self.stages[0].key

    @property
    def title(self) -> str:
        """Returns what a reader calls it while it runs: "Swift x4", or "LapSRN x4 then FSRCNN x2"."""
        return title_of(",".join(self.named_stages))

    @property
    def is_chain(self) -> bool:
        """Returns whether it has several stages."""
        return len(self.stages) > 1

    @property
    def named_stages(self) -> tuple[str, ...]:
        """Each stage as "key:scale"."""
        return tuple(map(str, self.stages))

    @property
    def scale(self) -> int:
        """Returns how many times it enlarges in all."""
        return math.prod(stage.scale for stage in self.stages)

    @property
    def settings(self) -> Settings:
        """Returns what it is measured with: as far as one of its stages takes that, one seed for all and no words."""
        given = replace(MEASURED_WITH, accept_licence=True) if self.accepted else MEASURED_WITH
        return given.only(frozenset[str]().union(*(stage.model.takes for stage in self.stages)))


def title_of(model: str) -> str:
    """A row's model as a reader meets it: "Swift", or "LapSRN x4 then FSRCNN x2" for the chain "lapsrn:4,fsrcnn:2".

    A model that is not in the catalog keeps its key.
    """
    return " then ".join(map(_stage_title, model.split(",")))


def _stage_title(stage: str) -> str:
    key, colon, scale = stage.partition(":")
    names = (row.name for row in catalog.MODELS if row.key == key)
    name = next(names, key)
    return name if not colon or name.endswith(f" x{scale}") else f"{name} x{scale}"


def resolve_contenders(
    protocol: str,
    scale: int,
    models: Sequence[str] | None,
    chains: Sequence[Sequence[Stage]],
    accepted: bool = False,
) -> tuple[Contender, ...]:
    """Returns who takes part: each model at the scale ("all": every one that has it, but those of diffusion, which take
    gigabytes and minutes and are named one by one), then each chain; none of them twice.

    Where nobody named models (None) they are those of "all" that need no download, but none beside chains that were
    named for a protocol that is not about chains. A protocol about chains needs one, and its own models are always in
    it. `accepted` is whether who asks accepts the licences of all. Raises BadSetting for a protocol, model or scale
    that does not exist, a chain that does not fit, and for nobody at all.
    """
    by = find_protocol(protocol)
    if models is None:
        models = [] if chains and not by.has_chains else list_ready(scale)
    if scale not in catalog.SCALES:
        raise BadSetting(f"Images can be shrunk by {', '.join(map(str, catalog.SCALES))}, not by {scale}.")
    if by.fixed_scale not in (None, scale):
        raise BadSetting(f"The {by.key} protocol is by {by.fixed_scale}, not by {scale}.")
    if by.has_chains and not chains:
        stages = map(Stage, ("lapsrn", "espcn"), by.chain_scales)
        raise BadSetting(f"The {by.key} protocol needs a chain, such as {','.join(map(str, stages))}.")
    direct = (replace(each, accepted=accepted) for each in _direct([*by.always, *models], scale))
    found = [*direct, *(_chain(by, chain, scale, accepted) for chain in chains)]
    if not found:
        raise BadSetting("Name at least one model.")
    return tuple(dict.fromkeys(found))


def list_ready(scale: int) -> list[str]:
    """Returns the keys of the models that have the scale and whose files are here, but those of diffusion."""
    rows = [row for row in catalog.MODELS if scale in row.scales and not row.diffusion]
    return [row.key for row in rows if _is_ready(Stage(row.key, scale))]


def _is_ready(stage: Stage) -> bool:
    try:
        return not find_lacking([stage])
    except UpscaleError:  # a folder of one's own that cannot be read; who names the model is told
        return False


def _direct(models: Iterable[str], scale: int) -> list[Contender]:
    found = []
    for key in models:
        everyone = (row for row in catalog.MODELS if scale in row.scales and not row.diffusion)
        for row in everyone if key == "all" else [catalog.find(key)]:
            catalog.weights_for(row, scale)
            found.append(Contender((Stage(row.key, scale),)))
    return found


def _chain(protocol: Protocol, stages: Sequence[Stage], scale: int, accepted: bool) -> Contender:
    chain = Contender(tuple(Stage(catalog.find(key).key, each) for key, each in stages), accepted)  # of a URL its key
    name = ",".join(chain.named_stages)
    enlarging = tuple(stage.scale for stage in chain.stages if stage.scale > 1)  # what cleans up may come before
    if protocol.has_chains and enlarging != protocol.chain_scales:
        wanted = " and then ".join(f"an x{each}" for each in protocol.chain_scales)
        raise BadSetting(f"The chain {name} is not {wanted} model.")
    if chain.scale != scale:
        raise BadSetting(f"The chain {name} upscales by {chain.scale}, not by {scale}.")
    catalog.check_stages(chain.stages, chain.settings)
    return chain
