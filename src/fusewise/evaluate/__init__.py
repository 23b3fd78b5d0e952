"""How a fitted predictor does per availability pattern, and whether that is what is required."""

from fusewise.evaluate.abstention import RiskCoverage, risk_coverage
from fusewise.evaluate.asking import value_of_asking
from fusewise.evaluate.bootstrap import resample
from fusewise.evaluate.choose_threshold import (
    ThresholdChoice,
    choose_threshold,
    threshold_for_rate,
)
from fusewise.evaluate.compare import compare
from fusewise.evaluate.comparison import Comparison
from fusewise.evaluate.conformal import conformalise
from fusewise.evaluate.conformal_predictor import ConformalPredictor
from fusewise.evaluate.conformal_table import coverage_by_pattern
from fusewise.evaluate.degradation import RATES, plan_random
from fusewise.evaluate.evaluation import evaluate
from fusewise.evaluate.junit import write_junit
from fusewise.evaluate.metrics import find_metric, sample_losses
from fusewise.evaluate.mixture import find_mixture, weigh
from fusewise.evaluate.operating_points import AT_A_POINT, OperatingPoint
from fusewise.evaluate.required import answer_requirements
from fusewise.evaluate.requirements import Requirement, RequirementError, check_requirements
from fusewise.evaluate.result import Evaluation

__all__ = [
    "AT_A_POINT",
    "RATES",
    "Comparison",
    "ConformalPredictor",
    "Evaluation",
    "OperatingPoint",
    "Requirement",
    "RequirementError",
    "RiskCoverage",
    "ThresholdChoice",
    "answer_requirements",
    "check_requirements",
    "choose_threshold",
    "compare",
    "conformalise",
    "coverage_by_pattern",
    "evaluate",
    "find_metric",
    "find_mixture",
    "plan_random",
    "resample",
    "risk_coverage",
    "sample_losses",
    "threshold_for_rate",
    "value_of_asking",
    "weigh",
    "write_junit",
]
