"""Network definitions, one file each, readable alone. Each imports torch, so it is imported where it is loaded."""
