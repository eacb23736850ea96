"""Inference: the predictor, and resumable runs over many pictures."""
