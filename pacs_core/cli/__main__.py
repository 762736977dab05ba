"""``python -m pacs_core.cli``."""

import sys

from pacs_core.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
