"""Finding people in pictures: the predictor, and runs over many pictures."""
