"""``python -m pushkit`` is ``push``."""

import sys

from pushkit.cli import main

sys.exit(main())
