"""Models as TorchScript and ONNX: they run without Detectron2 and without this package.

``examples/run_exported.py`` runs them.
"""

from .branch import DensePoseBranch
from .decoder import PixelDecoder
from .run import FORMATS, PARTS, export_model
