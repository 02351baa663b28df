"""The contract suites are plain modules: their assertions get pytest's explanations too."""

import pytest

pytest.register_assert_rewrite(
    "event_queue_contract", "job_service_contract", "object_store_contract", "run_store_contract"
)
