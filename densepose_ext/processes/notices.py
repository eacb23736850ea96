"""Warnings of dependencies that a user can do nothing about."""

import logging
import sys
import warnings

#: The start of torch's warning about ``torch.jit.script``, which fvcore and Detectron2 call when
#: they are imported. It goes on "deprecated", from Python 3.14 "not supported in Python 3.14+".
JIT_SCRIPT = "`torch.jit.script` is "
#: As an argument of Python's -W.
_FOR_NEW_PROCESSES = f"ignore:{JIT_SCRIPT.strip()}"


def hide_notices() -> None:
    """Hides what torch and timm say about how they are called.

    And what Pillow says of files that it reads all the same: large pictures, damaged EXIF data.
    Processes that this one starts hide the first of these, too.
    """
    warnings.filterwarnings("ignore", JIT_SCRIPT)
    # Processes that multiprocessing starts import Detectron2 before any code of this package.
    if _FOR_NEW_PROCESSES not in sys.warnoptions:
        sys.warnoptions.append(_FOR_NEW_PROCESSES)
    warnings.filterwarnings("ignore", module=r"torch\.functional")
    warnings.filterwarnings("ignore", module=r"PIL\.")
    logging.getLogger("timm.models._builder").addFilter(_is_news)
    logging.getLogger("torch.fx._symbolic_trace").setLevel(logging.ERROR)


def _is_news(record: logging.LogRecord) -> bool:
    """False: a backbone has no classifier, so its weights are left over."""
    return not record.getMessage().startswith("Unexpected keys (")
