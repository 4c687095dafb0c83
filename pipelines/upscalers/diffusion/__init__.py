"""Enlarging by latent diffusion: the parts of a model, the denoising of a picture in tiles, and its decoding.

What models have in common is in `parts` and `denoising`, what each has of its own in a module that is named like it.
Nothing here knows a page or a file's source, and `options` alone a model's row. All modules but that import torch:
import them where a model is loaded.
"""
