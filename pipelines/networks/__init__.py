"""Neural networks as functions on arrays: read from files, tiled, and run on whatever device there is."""
