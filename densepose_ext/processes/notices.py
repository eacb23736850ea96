"""Warnings of dependencies that a user can do nothing about."""

import logging
import warnings


def hide_notices() -> None:
    """Hides, in this process, torch's warnings about how Detectron2 and fvcore call it."""
    warnings.filterwarnings("ignore", "`torch.jit.script` is deprecated")
    warnings.filterwarnings("ignore", module=r"torch\.functional")
    logging.getLogger("torch.fx._symbolic_trace").setLevel(logging.ERROR)
