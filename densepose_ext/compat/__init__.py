"""Names of the official project's package, on top of this one, for programs written for it.

``import densepose_ext.compat.install`` makes ``import densepose`` find them; nothing else does.
"""
