"""What is done to each image of a batch."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from pipelines import environment
from pipelines.catalog.rows import Model, Settings, Size, Stage, find
from pipelines.estimates import plan_size_of
from pipelines.images import door as images
from pipelines.images.addresses import Place
from pipelines.images.door import ImageSource
from pipelines.phrasing import contender_file_name
from pipelines.upscalers.loading import StageFiles


@dataclass(frozen=True, slots=True)
class Recipe:
    """How an image becomes a result: by fixed stages, or by the model of a key to a size, behind the `first` stages."""

    stages: tuple[Stage, ...] = ()  # all of them; empty where the key and the size say more
    key: str = ""
    size: Size = field(default_factory=Size)
    first: tuple[Stage, ...] = ()
    settings: Settings = field(default_factory=Settings)
    own: Path | None = None  # the user's own file or folder of weights
    quality: int | None = None  # of JPEG and WebP

    def plan(self, image: ImageSource) -> tuple[tuple[Stage, ...], tuple[int, int] | None]:
        """Returns the stages for an image, and the width and height that their result is shrunk to.

        Reads the file's header. Raises BadPicture, or BadSetting for a size that the model does not reach.
        """
        if self.stages:
            return self.stages, None
        sized = plan_size_of(image, self.key, self.size, self.first)
        return sized.stages, sized.size

    @property
    def models(self) -> list[Model]:
        """Returns the models that an image may need."""
        return [*(stage.model for stage in (*self.stages, *self.first)), *([find(self.key)] if self.key else [])]

    @property
    def model(self) -> str:
        """Returns the model, or the models of a chain, as part of a file's name."""
        return contender_file_name(self.key or ",".join(f"{stage.key}:{stage.scale}" for stage in self._grown()))

    @property
    def scale(self) -> str:
        """Returns the scale as part of a file's name: "4", "2.5", or of a size "1920x"."""
        if self.stages:
            return str(math.prod(stage.scale for stage in self.stages))
        return str(self.size).removeprefix("x") if self.size.factor else str(self.size)

    def quality_for(self, output: Place) -> int | None:
        """Returns the quality of that file, none of a PNG."""
        return None if images.format_of(output) == "png" else self.quality

    def describe(self, fetched: Sequence[StageFiles], size: tuple[int, int] | None, output: Place) -> Mapping[str, Any]:
        """Returns all that decides what becomes of an image, as JSON gives it back: another way is another result."""
        told: dict[str, Any] = {
            "stages": [f"{each.stage.key}:{each.stage.scale}" for each in fetched],
            "weights_sha256": [file.sha256 for each in fetched for file in each.files],
            "settings": {name: value for name, value in asdict(self.settings).items() if value is not None},
            "size": size,
            "format": images.format_of(output),
            "quality": self.quality_for(output),
            "exact": environment.exact(),
        }
        read: Mapping[str, Any] = json.loads(json.dumps(told))
        return read

    def _grown(self) -> Sequence[Stage]:
        return [stage for stage in self.stages if stage.scale > 1] or self.stages
