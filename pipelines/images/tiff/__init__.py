"""TIFF files, read from their own tags: see `read`."""
