"""Body surfaces: the meaning of part indices I and coordinates U, V."""
