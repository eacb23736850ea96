"""Shared by the package's local web servers: access control, listening and shutdown."""
