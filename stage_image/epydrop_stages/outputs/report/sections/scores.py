"""The scores of the forecasts on observations that the calibration did not see."""

from __future__ import annotations

from epydrop_stages.outputs.quality.observation_checks import SHARES
from epydrop_stages.outputs.quality.run_quality import coverage, of_main_scenario
from epydrop_stages.outputs.report.context import ReportContext, Section

_MOST = 60
_FOLD_FROM = 12  # rows; longer tables can be collapsed


def section(context: ReportContext) -> Section | None:
    """None without held-back observations."""
    scores = context.quality.scores
    if not scores:
        return None
    main = of_main_scenario(scores, context.experiment)
    # Undefined ratios last.
    worst_first = sorted(scores, key=lambda score: -score.relative_wis if score.baseline_wis > 0 else 0.0)
    data = {
        "scores": worst_first[:_MOST],
        "more": len(scores) - _MOST,
        "shares": SHARES,
        "covered": coverage(main),
        "count": sum(score.count for score in main),
        "main": main[0].scenario if main else "",
        "has_scenarios": any(score.scenario for score in scores),
        "fold": len(scores) > _FOLD_FROM,
    }
    return Section("scores", "Comparison with held-back observations", "scores.html.j2", data)
