"""Makes the weights in pipelines/networks/bundled. Nothing in pipelines or ui imports this package."""
