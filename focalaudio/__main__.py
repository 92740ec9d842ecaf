"""`python -m focalaudio` is the `focalaudio` command."""

import sys

from focalaudio.cli import main

if __name__ == "__main__":
    sys.exit(main())
