"""Measuring: shrink an image, upscale it back, compare with the original. The door is `run`."""
