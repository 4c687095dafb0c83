"""Previews: the latents' colours by a linear map."""

import pickle
from dataclasses import replace

import numpy as np
import torch

from pipelines.images.resample import enlarge
from pipelines.networks.devices import Device
from pipelines.runs import Preview, finish, prefix_notes
from pipelines.upscalers.diffusion.engine import DiffusionUpscaler
from pipelines.upscalers.diffusion.preview import fit_colours
from tests.conftest import smooth
from tests.support.denoisers import PLAIN


def test_previews_look_like_the_picture_and_cross_a_pipe(x4: DiffusionUpscaler) -> None:
    """Those of the last steps; the map is fitted to the small picture, so a latent of it has about its colour."""
    previews: list[Preview] = []
    pixels = smooth(33, 300)
    finish(
        prefix_notes(x4.run(pixels, replace(PLAIN, steps=16)), "Tiny: "),
        lambda s: isinstance(s, Preview) and previews.append(s),
    )
    assert 5 <= len(previews) <= 9
    last = pickle.loads(pickle.dumps(previews[-1]))
    assert last.note.startswith("Tiny: step") and last.picture.dtype == np.uint8
    assert last.picture.shape == (20, 152, 3)  # of 40 by 304 latents, two by two
    assert not np.array_equal(previews[0].picture, previews[-1].picture)


def test_the_map_to_colours_is_the_best_linear_one(x4: DiffusionUpscaler) -> None:
    everything = x4.parts(Device("cpu"))
    pixels = smooth(32, 24)
    plain = torch.from_numpy(finish(enlarge(pixels, 4, "bicubic"))).permute(2, 0, 1)[None]
    with torch.inference_mode():
        colours = fit_colours(everything, pixels)
        latents = everything.vae.encode(2 * plain - 1).latent_dist.mode() * 0.08333
        painted = colours.paint(latents) / 255
    assert painted.shape == pixels.shape
    assert np.abs(painted - pixels).mean() < 0.8 * np.abs(pixels - pixels.mean((0, 1))).mean()
