"""Learning from a larger network as well: a small one is taught what a large one makes of the same small images.

Hinton et al. (2015) call it distillation. The teacher's output has less in it that cannot be known than the original
has, so a short run gets further. The teacher works once on every training image, whole, before the run, so that a step
costs what it costs without.

Knows nothing of networks but how to read a file.
"""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch

from pipelines.errors import BadSetting, BadWeights
from pipelines.networks.checkpoints import read_network
from training.data import Patches

TOLD_EVERY = 200  # images


def teach(patches: Patches, teacher: Path, share: float, log: Callable[[str], None] = print) -> Patches:
    """The patches with originals of which `share` (0 to 1) is what the teacher makes of the small image.

    Raises BadSetting where the file is not that of a network of this scale.
    """
    try:
        network = read_network(teacher)
    except BadWeights as error:
        raise BadSetting(str(error)) from error
    scale = patches.scale
    if network.scale != scale:
        raise BadSetting(f"{teacher.name} upscales by {network.scale}: it cannot teach a network that does by {scale}.")
    if network.multiple != 1:
        raise BadSetting(f"{teacher.name} takes no images of odd sizes: it cannot teach.")
    high = patches.high.clone()
    with torch.inference_mode():
        places = zip(patches.size.tolist(), patches.start.tolist(), strict=True)
        for number, ((height, width), start) in enumerate(places, 1):
            stop = start + height * width
            low = patches.low[start:stop].T.reshape(1, 3, height, width).float() / 255
            taught = network(low.contiguous(memory_format=torch.channels_last)).clamp(0, 1)[0].flatten(1).T * 255
            place = slice(start * scale**2, stop * scale**2)
            high[place] = (share * taught + (1 - share) * high[place].float()).round().to(torch.uint8)
            if number % TOLD_EVERY == 0 or number == len(patches.size):
                log(f"{teacher.name} has upscaled {number} of {len(patches.size)} images")
    return replace(patches, high=high)
