"""What the indices I and the coordinates U, V mean."""
