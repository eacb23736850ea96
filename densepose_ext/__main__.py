"""``python -m densepose_ext``: the commands of ``densepose-ext``."""

import sys

from .commands.main import main

sys.exit(main())
