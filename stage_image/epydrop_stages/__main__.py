"""``python -m epydrop_stages builder|runner|output``."""

import sys

from epydrop_stages.stages.task import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
