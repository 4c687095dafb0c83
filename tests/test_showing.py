"""Pictures as they are shown."""

import numpy as np
import pytest

from pipelines.images import Picture
from pipelines.showing import as_shown


@pytest.mark.parametrize("grey", [False, True])
def test_a_picture_is_shown_over_white(grey: bool) -> None:
    alpha = np.array([[0, 0.5, 1]], np.float32)
    shown = as_shown(Picture(np.zeros((1, 3, 3), np.float32), alpha=alpha, grey=grey, depth=16))
    assert shown.dtype == np.uint8
    np.testing.assert_array_equal(shown, np.repeat([[[255], [128], [0]]], 3, axis=2))
