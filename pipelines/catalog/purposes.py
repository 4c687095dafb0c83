"""What people upscale for, and the model that is best at it: what the page asks first. Plain data."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Purpose:
    """One thing that people want. `model` is the key of the row that does it best."""

    key: str  # in the page's address: never changes
    name: str
    model: str
    use: str  # what it is good at, in a few words


PURPOSES = (
    Purpose("photo", "Photo", "real-esrgan-general", "Cleans and sharpens."),
    Purpose("faithful", "Faithful", "swift", "Stays true to your image."),
    Purpose("drawing", "Drawing or anime", "real-esrgan-anime", "Clean lines."),
    Purpose("pixel-art", "Pixel art", "nearest", "Keeps every pixel sharp."),
    Purpose("creative", "Creative", "sd-x4", "Invents new detail."),
)
DAMAGED = PURPOSES[0]  # for an image that JPEG or noise has damaged


def find_purpose(key: str) -> Purpose | None:
    """Returns the purpose of that key, if there is one."""
    return next((purpose for purpose in PURPOSES if purpose.key == key), None)


def purpose_of(model: str) -> Purpose | None:
    """Returns the purpose that the model of that key serves best; None for all other models."""
    return next((purpose for purpose in PURPOSES if purpose.model == model), None)
