"""``python -m epydrop.cli``: the same as ``epydrop``."""

from epydrop_workstation.cli.main import main

main()
