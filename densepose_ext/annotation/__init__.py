"""Two-stage annotation as in the paper: body regions, then points on rendered views of the body."""
