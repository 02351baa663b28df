"""Where things lie in this checkout."""

from pathlib import Path

TESTS = Path(__file__).parents[1]
ROOT = TESTS.parent
SAMPLES = TESTS / "samples"
STAND_INS = TESTS / "stand_ins"  # programs and suites that stand in for real ones
