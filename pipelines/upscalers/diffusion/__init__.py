"""Enlarging by latent diffusion: the parts of a model, the denoising of a picture in tiles, and its decoding.

What models have in common is in `parts` and `denoising`. What each has of its own is data in its specification
(`catalog.diffusion`), and code in the module that the specification names, with one function that all have:
`read_parts`. Nothing here knows a page or a file's source. All modules but `engine` and `colour` import torch: import
them where a model is loaded.
"""
