"""What the metrics share that have files, loaded once, and that ask a network: two images as it takes them.

torch is imported where it is needed: most runs measure none of these metrics.
"""

import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from pipelines.catalog import rows as catalog
from pipelines.errors import BadWeights, WeightsUnavailable
from pipelines.images.picture import Pixels8
from pipelines.measuring.metrics.metric import NOT_HERE, Judge
from pipelines.phrasing import format_bytes
from pipelines.weights import fetch as weights
from pipelines.weights.local import Found

if TYPE_CHECKING:
    from torch import Tensor, nn

J = TypeVar("J", bound=Judge)

_kept: dict[str, Judge] = {}  # by the metric's key
_lock = threading.Lock()


def load_once(key: str, name: str, kind: type[J], read: Callable[..., J]) -> J:
    """What `read` makes of the metric's files, in the order of METRIC_FILES; it stays loaded while they are the same.

    Raises WeightsUnavailable where a file is not here, and what `read` raises.
    """
    parts = {needed: weights.find(needed) for needed in catalog.METRIC_FILES[key].values()}
    lacking = sum(needed.size for needed, found in parts.items() if not found)
    if lacking:
        raise WeightsUnavailable(f"{name} {NOT_HERE} ({format_bytes(lacking)}).")
    files: list[Found] = [file for found in parts.values() for file in found or ()]
    with _lock:
        kept = _kept.get(key)
        if not isinstance(kept, kind) or kept.weights_sha256 != tuple(file.sha256 for file in files):
            _kept.pop(key, None)
            kept = _kept[key] = read(*files)
        return kept


def fill(part: "nn.Module", path: Path, names: Mapping[str, str], what: str) -> None:
    """Loads a part of a network from a file in which its parameters have other names.

    Raises BadWeights, which says that the file does not fit `what`.
    """
    import torch

    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
        part.load_state_dict({ours: state[theirs] for ours, theirs in names.items()})
    except MemoryError:
        raise
    except Exception as error:  # broken bytes lead torch.load to errors of many kinds
        raise BadWeights(f"{path.name} does not fit {what}.") from error


def as_pair(*images: Pixels8) -> "Tensor":
    """Two images (h, w, 3) or (h, w) as (2, 3, h, w) in [0, 1]; grey is taken as three equal channels."""
    import torch

    pair = np.stack(images)
    colours = pair if pair.ndim == 4 else np.repeat(pair[..., None], 3, axis=3)
    # Permuted, not copied: torch is a fifth faster when the channels of a pixel lie together.
    return torch.from_numpy(colours).permute(0, 3, 1, 2) / 255
