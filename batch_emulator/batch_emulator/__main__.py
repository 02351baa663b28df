"""``python -m batch_emulator``."""

from batch_emulator.cli import main

main()
