"""Warnings of dependencies that a user can do nothing about."""

import logging
import warnings

#: The start of torch's warning about ``torch.jit.script``, which fvcore and Detectron2 call when
#: they are imported. It goes on "deprecated", from Python 3.14 "not supported in Python 3.14+".
JIT_SCRIPT = "`torch.jit.script` is "


def hide_notices() -> None:
    """Hides, in this process, what torch and timm say about how they are called.

    And what Pillow says of files that it reads all the same: large pictures, damaged EXIF data.
    """
    warnings.filterwarnings("ignore", JIT_SCRIPT)
    warnings.filterwarnings("ignore", module=r"torch\.functional")
    warnings.filterwarnings("ignore", module=r"PIL\.")
    logging.getLogger("timm.models._builder").addFilter(_is_news)
    logging.getLogger("torch.fx._symbolic_trace").setLevel(logging.ERROR)


def _is_news(record: logging.LogRecord) -> bool:
    """False: a backbone has no classifier, so its weights are left over."""
    return not record.getMessage().startswith("Unexpected keys (")
