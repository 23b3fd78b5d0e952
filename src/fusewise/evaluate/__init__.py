"""How a fitted predictor does per availability pattern, and whether that is what is required."""

from fusewise.evaluate.evaluation import evaluate
from fusewise.evaluate.requirements import Requirement, RequirementError, check_requirements
from fusewise.evaluate.result import Evaluation

__all__ = [
    "Evaluation",
    "Requirement",
    "RequirementError",
    "check_requirements",
    "evaluate",
]
