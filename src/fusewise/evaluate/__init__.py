"""How a fitted predictor does per availability pattern, and whether that is what is required."""

from fusewise.evaluate.bootstrap import resample
from fusewise.evaluate.choose_threshold import (
    ThresholdChoice,
    choose_threshold,
    threshold_for_rate,
)
from fusewise.evaluate.compare import compare
from fusewise.evaluate.comparison import Comparison
from fusewise.evaluate.degradation import RATES, plan_random
from fusewise.evaluate.evaluation import evaluate
from fusewise.evaluate.junit import write_junit
from fusewise.evaluate.metrics import find_metric, sample_losses
from fusewise.evaluate.mixture import find_mixture, weigh
from fusewise.evaluate.operating_points import OperatingPoint
from fusewise.evaluate.required import answer_requirements
from fusewise.evaluate.requirements import Requirement, RequirementError, check_requirements
from fusewise.evaluate.result import Evaluation

__all__ = [
    "RATES",
    "Comparison",
    "Evaluation",
    "OperatingPoint",
    "Requirement",
    "RequirementError",
    "ThresholdChoice",
    "answer_requirements",
    "check_requirements",
    "choose_threshold",
    "compare",
    "evaluate",
    "find_metric",
    "find_mixture",
    "plan_random",
    "resample",
    "sample_losses",
    "threshold_for_rate",
    "weigh",
    "write_junit",
]
