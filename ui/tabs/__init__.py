"""The page's tabs, one module each: components and wiring, no image work."""
