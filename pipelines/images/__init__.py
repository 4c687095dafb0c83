"""Files and pixels: reading, writing and resampling images. Knows no model. The door is `door`."""
