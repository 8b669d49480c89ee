"""``python -m cnnvis_widgets.cli``: the command ``cnnvis`` where it is not on the path."""

import sys

from cnnvis_widgets.cli import main

sys.exit(main())
