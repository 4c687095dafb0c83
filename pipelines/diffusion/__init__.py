"""Enlarging by latent diffusion: the parts of a model, the denoising of a picture in tiles, and its decoding.

Nothing here knows a page, a file's source or a model's row. All modules but `options` import torch: import them where a
model is loaded.
"""
