"""Colour under transparent pixels, which nobody sees until something blends it into its neighbours."""

import numpy as np

from pipelines.images.picture import Pixels


def spread_visible(pixels: Pixels, alpha: Pixels) -> Pixels:
    """Gives each nearly transparent pixel the colour of the visible ones around it.

    Around is a Gaussian of two pixels weighted by alpha squared (normalised convolution, Knutsson and Westin 1993);
    where nothing within its reach is visible, the nearest pixel that is. What shows by an eighth or more keeps its own.
    """
    import cv2

    own = np.clip(16 * alpha - 1, 0, 1)[..., None]
    if own.all() or not alpha.any():
        return pixels
    weight = np.square(alpha)
    around = cv2.GaussianBlur(pixels * weight[..., None], (0, 0), 2)
    near = cv2.GaussianBlur(weight, (0, 0), 2)[..., None]
    spread: Pixels = np.where(near > 1e-9, around / np.maximum(near, 1e-9), _nearest_visible(pixels, alpha))
    return spread + (pixels - spread) * own


def _nearest_visible(pixels: Pixels, alpha: Pixels) -> Pixels:
    """Each pixel's nearest one that is not fully transparent."""
    import cv2

    visible = alpha > 0
    _, labels = cv2.distanceTransformWithLabels(
        (~visible).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5, labelType=cv2.DIST_LABEL_PIXEL
    )
    nearest = np.empty(int(np.max(labels)) + 1, np.int64)
    nearest[labels[visible]] = np.flatnonzero(visible)
    filled: Pixels = pixels.reshape(-1, 3)[nearest[labels]]
    return filled
