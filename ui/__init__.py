"""The page. The only folder that imports gradio; it holds widgets and wiring, no image work."""
