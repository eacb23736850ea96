"""The network: heads, backbones, losses, and what makes dense pose of their maps."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
