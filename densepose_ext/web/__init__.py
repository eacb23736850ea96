"""What the local web servers of the package share: who may talk to them, and where they listen."""
