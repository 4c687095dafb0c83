"""All the work: pictures in, enlarged pictures out. Knows nothing of the page."""
