"""Scores of dense pose: GPS, GPSm and mask AP, and where on the body they are lost."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
