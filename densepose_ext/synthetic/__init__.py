"""Rendered people with exact ground truth: scenes, pictures, annotations and datasets."""
