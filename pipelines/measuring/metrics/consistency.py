"""How well a result, shrunk again, agrees with the small image that it was made from. Needs no original."""

import math

import numpy as np

from pipelines.images.picture import Pixels8, to_uint8
from pipelines.images.resample import shrink
from pipelines.measuring.metrics.metric import Metric, Sample, Scores, decibels
from pipelines.measuring.metrics.pixelwise import TIE_DB, mse
from pipelines.runs import Run, finish, prefix_notes

# The note of a row whose consistency is infinite: JSON has no such number, and no error stands beside it.
CONSISTENT = "consistency_psnr is infinite: shrunk, the output equals the small image"


def consistency_psnr(output: Pixels8, low: Pixels8, scale: int) -> float | None:
    """PSNR in dB over RGB or grey of `output`, shrunk again, against `low`, from which it was made.

    Nothing is cropped. It shows content that was made up or shifted. `output` (H, W, 3) or (H, W) uint8 is shrunk by
    the antialiased bicubic kernel and rounded. None where the two are equal and it is infinite. Raises ValueError where
    `low` is not exactly (H/scale, W/scale).
    """
    return finish(measure_consistency(Sample(None, output, low, scale))).values["consistency_psnr"]


def measure_consistency(sample: Sample) -> Run[Scores]:
    """Measures `consistency_psnr` of a sample, with a note where it is infinite."""
    planes, small = (image.reshape(*image.shape[:2], -1) for image in (sample.output, sample.low))
    errors = []
    for channel in range(planes.shape[2]):  # one at a time: a float32 copy of the whole is four times the output
        plane = np.divide(planes[..., channel : channel + 1], np.float32(255), dtype=np.float32)
        shrunk = yield from prefix_notes(shrink(plane, sample.scale, "bicubic"), "consistency: ")
        errors.append(mse(to_uint8(shrunk[..., 0]), small[..., channel]))
    value = decibels(math.fsum(errors) / len(errors))
    return Scores({"consistency_psnr": value}, (CONSISTENT,) if value is None else ())


CONSISTENCY = Metric(
    key="consistency_psnr",
    name="Consistency",
    about="The result shrunk again and compared with the small image. Low where content is invented or shifted.",
    unit="dB",
    better="higher",
    digits=2,
    of=measure_consistency,
    needs="nothing",
    infinite_note=CONSISTENT,
    says="consistency",
    tie=TIE_DB,
)
