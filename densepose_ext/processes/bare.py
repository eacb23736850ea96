"""Processes of parts of the package that need neither torch nor Detectron2.

Importing the package imports both and registers with Detectron2 what a config may name: five
seconds of each process. Those that draw people or measure a body have no use for it.
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
    """What starts a Python process whose ``import densepose_ext`` runs nothing.

    Args:
        program: Python code. It can import the package's modules, with what they import.
    """
    folder = str(Path(__file__).resolve().parents[1])
    return [sys.executable, "-W", "ignore", "-c", _START.format(folder=folder) + program]
