"""The official package's most used names, implemented on top of this package.

Only after ``import densepose_ext.compat.install`` does ``import densepose`` find them.
"""
