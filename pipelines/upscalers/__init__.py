"""What runs a model: one engine a kind of model, from a row to an `Upscaler`. The door is `loading`."""
