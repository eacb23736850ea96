"""Training steps that treat all images of a batch at once."""
