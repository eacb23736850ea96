"""Makes ``import densepose`` find the names of :mod:`densepose_ext.compat`.

Import this module first. Alternatively, run the unchanged program with
``DETECTRON2_ENV_MODULE=densepose_ext.compat.install python program.py``: when Detectron2 is
imported, it imports the module in that variable, and calls :func:`setup_environment`.

Raises:
    ImportError: the official package, or another package of that name, is installed.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType

_OURS = "densepose_ext.compat"

#: Module of the official package -> modules of this package with its names.
MODULES = {
    "densepose": ("densepose_ext.config", "densepose_ext.compat.structures"),
    "densepose.config": ("densepose_ext.config",),
    "densepose.structures": ("densepose_ext.compat.structures",),
    "densepose.structures.chart_result": ("densepose_ext.compat.structures",),
    "densepose.vis": (),
    "densepose.vis.base": ("densepose_ext.compat.visualizers",),
    "densepose.vis.bounding_box": ("densepose_ext.compat.visualizers",),
    "densepose.vis.densepose_results": ("densepose_ext.compat.visualizers",),
    "densepose.vis.densepose_results_textures": ("densepose_ext.compat.visualizers",),
    "densepose.vis.extractor": ("densepose_ext.compat.extractors",),
}


class _Finder(MetaPathFinder):
    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname.partition(".")[0] != "densepose":
            return None
        if fullname not in MODULES:
            raise ModuleNotFoundError(
                f"{_OURS} has no {fullname}; it has {', '.join(MODULES)}", name=fullname
            )
        is_package = any(name.startswith(f"{fullname}.") for name in MODULES)
        return ModuleSpec(fullname, _Loader(), origin=_OURS, is_package=is_package)


class _Loader(Loader):
    def create_module(self, spec: ModuleSpec) -> None:
        return None  # the default

    def exec_module(self, module: ModuleType) -> None:
        for name in MODULES[module.__name__]:
            ours = importlib.import_module(name)
            names = getattr(ours, "__all__", None) or [n for n in vars(ours) if n[0] != "_"]
            vars(module).update({name: getattr(ours, name) for name in names})


def setup_environment() -> None:
    """Called by Detectron2. Does nothing, since importing this module is enough."""


def _install() -> None:
    if any(isinstance(finder, _Finder) for finder in sys.meta_path):
        return
    spec = importlib.util.find_spec("densepose")
    if spec is not None:
        place = spec.origin or ", ".join(spec.submodule_search_locations or ()) or "somewhere"
        raise ImportError(
            f"a package densepose is already installed ({place}), and programs would import it"
            f" instead; {_OURS}.install is for environments without one",
            name="densepose",
        )
    sys.meta_path.append(_Finder())


_install()
