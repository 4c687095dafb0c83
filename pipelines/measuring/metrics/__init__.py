"""Numbers that say how close two images are."""
