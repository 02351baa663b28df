"""``python -m epydrop.cli``: the same as ``epydrop``."""

from epydrop.cli.main import main

main()
