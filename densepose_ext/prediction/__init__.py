"""Running a model over pictures: what goes in, what is written, and going on after a break."""
