"""Exports models as TorchScript and ONNX, which run without Detectron2 and this package.

``examples/run_exported.py`` runs them.
"""

from .branch import DensePoseBranch
from .decoder import PixelDecoder
from .int8 import quantize_exported
from .run import FORMATS, PARTS, check_formats, export_model
