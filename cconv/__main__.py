"""``python -m cconv``: see `cconv.cli`."""

import sys

from cconv.cli import main

if __name__ == "__main__":
    sys.exit(main())
