"""densepose_ext: the DensePose R-CNN as a Detectron2 extension.

Importing it registers heads, backbones and datasets with Detectron2, if that is installed.
``__init__.pyi`` lists the public names, which are imported on first use. Parts can also be used on
their own: see ``densepose_ext.modeling``, ``densepose_ext.data``, ``densepose_ext.surface``.

Its loggers are children of "detectron2": its messages appear wherever Detectron2's do.
"""

import sys
import warnings

import lazy_loader

from .processes.command_line import runs_a_command
from .processes.notices import JIT_SCRIPT

__version__ = "0.2.0"

_lazily_imported, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)


def __getattr__(name: str):
    try:
        return _lazily_imported(name)
    except ModuleNotFoundError as error:
        raise _explained(error) from None


def _explained(error: ModuleNotFoundError) -> ModuleNotFoundError:
    """The error itself, or, if it is Detectron2 that is missing, one that says how to get it."""
    if error.name != "detectron2":
        return error
    return ModuleNotFoundError(
        "densepose_ext extends Detectron2, which is not installed. Install it as"
        " https://detectron2.readthedocs.io/tutorials/install.html says, or let"
        " `densepose-ext setup-detectron2` do it, which needs no compiler",
        name="detectron2",
    )


def register() -> None:
    """Registers heads, backbones and datasets with Detectron2. A second call changes nothing.

    Raises:
        ModuleNotFoundError: Detectron2 is not installed; the message says how to get it.
    """
    try:
        import detectron2
    except ModuleNotFoundError as error:
        raise _explained(error) from None
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", JIT_SCRIPT)
        from .data.datasets import register_public_datasets
        from .engine import checkpoint
        from .model_zoo.fetching import register_official_weights
        from .modeling import registered
        from .synthetic.registration import register_default_synthetic

    register_official_weights()
    register_public_datasets()
    register_default_synthetic()
    # Its import path in earlier versions.
    sys.modules[f"{__name__}.checkpoint"] = checkpoint


# Commands register themselves once they need Detectron2, so `densepose-ext --help` starts at once.
if not runs_a_command():
    try:
        register()
    except ModuleNotFoundError as error:
        if error.name != "detectron2":
            raise
        # Without it exported models still run, and drawing works: the rest says what it needs.
