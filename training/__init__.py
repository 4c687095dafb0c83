"""Makes the weights in pipelines/bundled. Nothing in pipelines or ui imports this package."""
