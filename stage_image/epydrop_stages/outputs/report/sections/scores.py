"""How the forecasts did on observations that the calibration did not see."""

from __future__ import annotations

from epydrop_stages.outputs.quality.fit import SHARES
from epydrop_stages.outputs.quality.summary import coverage, of_main_scenario
from epydrop_stages.outputs.report.material import Material, Section

_MOST = 60


def section(material: Material) -> Section | None:
    """Nothing without held-back observations."""
    scores = material.quality.scores
    if not scores:
        return None
    main = of_main_scenario(scores, material.experiment)
    worst_first = sorted(scores, key=lambda score: -score.relative_wis if score.baseline_wis > 0 else 0.0)
    data = {
        "scores": worst_first[:_MOST],
        "more": len(scores) - _MOST,
        "shares": SHARES,
        "held": coverage(main),
        "count": sum(score.count for score in main),
        "main": main[0].scenario if main else "",
        "has_scenarios": any(score.scenario for score in scores),
        "fold": len(scores) > 12,
    }
    return Section("scores", "Against held-back observations", "scores.html.j2", data)
