"""Processes that import parts of the package without torch and Detectron2.

Importing the package imports both and registers with Detectron2, which takes each process five
seconds. Processes that render people or compute geodesics do not need them.
"""

import sys
from pathlib import Path

_START = """\
import sys, types
package = types.ModuleType("densepose_ext")
package.__path__ = [{folder!r}]
sys.modules["densepose_ext"] = package
"""


def command(program: str) -> list[str]:
    """Command line of a Python process in which ``import densepose_ext`` does nothing.

    Args:
        program: Python code, which can import the package's modules.
    """
    folder = str(Path(__file__).resolve().parents[1])
    return [sys.executable, "-W", "ignore", "-c", _START.format(folder=folder) + program]
