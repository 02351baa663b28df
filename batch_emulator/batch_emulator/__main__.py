"""``python -m batch_emulator``."""

from batch_emulator.start import main

main()
