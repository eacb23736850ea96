"""The most used names of the official package ``densepose``, implemented with this package.

``import densepose`` finds them after ``import densepose_ext.compat.install``.
"""
