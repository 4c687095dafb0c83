"""What a link to a shared page shows elsewhere: before and after of its own image, where the two differ most."""

from io import BytesIO

from PIL import Image, ImageDraw, ImageFont

from pipelines.images.door import Pyramid
from ui.preview_card import IMAGE_SIZE
from ui.widgets.viewer import Pane, View, WholeFile

ZOOM = 2.0  # pixels of the card for one of the result, where that has enough of them
GAP = 6  # pixels between the two
QUALITY = 88
LABEL_SIZE, MARGIN = 30, 14

Region = tuple[float, float, float, float]  # left, top, right and bottom as parts of the image


def draw_card(view: View) -> bytes:
    """Returns a JPEG of 1200 by 630 pixels: on the left what there was before, on the right what was made of it.

    Raises OSError where a tile is gone.
    """
    before, after = choose_pair(view)
    width, height = IMAGE_SIZE
    half = (width - GAP) // 2
    region = _choose_region(view, after, half, height)
    card = Image.new("RGB", IMAGE_SIZE, "white")
    draw = ImageDraw.Draw(card)
    font = ImageFont.load_default(LABEL_SIZE)
    profile = None
    for left, pane, label in ((0, before, "Before"), (width - half, after, after.label)):
        part = _read_region(pane.picture, region)
        profile = part.info.get("icc_profile") or profile
        card.paste(part.resize((half, height), Image.Resampling.BICUBIC), (left, 0))
        box = draw.textbbox((left + 2 * MARGIN, 2 * MARGIN), label, font)
        draw.rectangle((box[0] - MARGIN, box[1] - MARGIN, box[2] + MARGIN, box[3] + MARGIN), fill="#0f172a")
        draw.text((left + 2 * MARGIN, 2 * MARGIN), label, "white", font)
    stream = BytesIO()
    card.save(stream, "JPEG", quality=QUALITY, icc_profile=profile)
    return stream.getvalue()


def choose_pair(view: View) -> tuple[Pane, Pane]:
    """Returns the smallest image, which all others were made of, and the first result of full size."""
    areas = [pane.picture.width * pane.picture.height for pane in view.panes]
    before = areas.index(min(areas))
    full = [place for place, area in enumerate(areas) if area == max(areas) and place not in (before, view.original)]
    return view.panes[before], view.panes[full[0] if full else before]


def _choose_region(view: View, after: Pane, width: int, height: int) -> Region:
    """The part of the image to show, of the card's shape: around where the view opens, or else in the middle."""
    whole_width, whole_height = view.size or (after.picture.width, after.picture.height)
    zoom = max(ZOOM, width / whole_width, height / whole_height)
    wide, high = width / zoom, height / zoom
    at = view.boxes[view.open_at] if isinstance(view.open_at, int) and view.boxes else view.open_at
    x, y = whole_width / 2, whole_height / 2
    if isinstance(at, tuple):
        x, y = at[0] + at[2] / 2, at[1] + at[3] / 2
    left = min(max(x - wide / 2, 0), whole_width - wide)
    top = min(max(y - high / 2, 0), whole_height - high)
    return left / whole_width, top / whole_height, (left + wide) / whole_width, (top + high) / whole_height


def _read_region(layer: Pyramid | WholeFile, region: Region) -> Image.Image:
    """The part of a layer, in its own pixels, over white."""
    left, top, right, bottom = (part * side for part, side in zip(region, (layer.width, layer.height) * 2, strict=True))
    box = int(left), int(top), max(int(left) + 1, round(right)), max(int(top) + 1, round(bottom))
    if isinstance(layer, WholeFile):
        with Image.open(layer.path) as image:
            return _flatten(image.convert("RGBA").crop(box), image.info.get("icc_profile"))
    part, profile = Image.new("RGBA", (box[2] - box[0], box[3] - box[1])), None
    for row in range(box[1] // layer.tile, -(-box[3] // layer.tile)):
        for column in range(box[0] // layer.tile, -(-box[2] // layer.tile)):
            with Image.open(layer.file(0, row, column)) as tile:
                profile = tile.info.get("icc_profile")
                part.paste(tile.convert("RGBA"), (column * layer.tile - box[0], row * layer.tile - box[1]))
    return _flatten(part, profile)


def _flatten(image: Image.Image, profile: bytes | None) -> Image.Image:
    white = Image.new("RGBA", image.size, "white")
    flat = Image.alpha_composite(white, image).convert("RGB")
    flat.info["icc_profile"] = profile
    return flat
