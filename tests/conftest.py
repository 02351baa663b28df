"""The contract suites are plain modules: their assertions get pytest's explanations too.

No verdict depends on how busy the machine is: properties have no deadline and may take their time.
"""

import os
import signal

import pytest
from hypothesis import HealthCheck, settings

pytest.register_assert_rewrite("contracts")

# A shell starts background jobs with Ctrl-C ignored, which every command under test would inherit.
signal.signal(signal.SIGINT, signal.default_int_handler)

# In CI the examples are the same in each run, so that a failure belongs to the change that it was found in. Elsewhere
# they are random, and each run looks at new ones.
settings.register_profile(
    "unhurried",
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    derandomize=bool(os.environ.get("CI")),
    database=None if os.environ.get("CI") else settings.default.database,
)
settings.load_profile("unhurried")
