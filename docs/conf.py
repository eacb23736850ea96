"""Sphinx builds the documentation: `make docs`, into docs/_build/html."""

import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parent), str(HERE / "_extensions")]

from densepose_ext import __version__  # noqa: E402

project = "densepose_ext"
author = "The densepose_ext authors"
version = release = __version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "config_reference"]
source_suffix = {".md": "markdown"}
exclude_patterns = ["_build"]
suppress_warnings = ["myst.header"]  # the pages included from the top start at their own level
myst_heading_anchors = 3

autodoc_member_order = "bysource"
autodoc_default_options = {"members": True}
python_use_unqualified_type_names = True
napoleon_numpy_docstring = False
napoleon_use_rtype = False

html_theme = "alabaster"
html_title = f"densepose_ext {version}"
html_theme_options = {
    "description": "The DensePose R-CNN as a Detectron2 extension",
    "fixed_sidebar": True,
    "page_width": "1100px",
}
html_copy_source = False
html_show_sourcelink = False
