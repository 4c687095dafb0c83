"""Stable Diffusion x4 against diffusers' own pipeline over the same networks: seconds a step, a picture, and memory.

python -m performance.diffusion [128] [256] [512] [precision]

All parts, or those that are named: sides in pixels, and what half precision costs. The networks have their true size
and random parameters: what a pass costs does not depend on them. They are saved once as diffusers saves them, and
loaded by the product's own code in a fresh process for each line. Where there is a CUDA GPU, the sides are
measured on it, in half precision; on two cores of a CPU all parts take an hour.
"""
