"""All the work: pictures in, enlarged pictures out. Knows nothing of the page."""

VERSION = "0.1.0"
