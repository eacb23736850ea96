"""Two-stage annotation as in the paper: regions, then points on rendered views of the body."""
