"""``python -m densepose_ext``: the commands of ``densepose-ext``."""

import sys

from .apps.main import main

sys.exit(main())
