"""The contract suites are plain modules: their assertions get pytest's explanations too.

No verdict depends on how busy the machine is: properties have no deadline and may take their time.
"""

import pytest
from hypothesis import HealthCheck, settings

pytest.register_assert_rewrite("contracts")

settings.register_profile("unhurried", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("unhurried")
