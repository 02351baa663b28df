"""PNG files of a low resolution: rendering them takes most of the time of a report, and no test looks at the dots."""

import pytest

from epydrop_stages.outputs.report.figures import style


@pytest.fixture(scope="module", autouse=True)
def coarse_figures():
    """For all tests of this folder."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(style, "DPI", 20)
        yield
