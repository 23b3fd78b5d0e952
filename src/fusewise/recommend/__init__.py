"""The decision matrix as data; recommendations with reasons."""

from fusewise.recommend.advise import recommend
from fusewise.recommend.matrix import MATRIX, PRECEDENCE
from fusewise.recommend.result import Reason, Recommendation
from fusewise.recommend.thresholds import Thresholds

__all__ = [
    "MATRIX",
    "PRECEDENCE",
    "Reason",
    "Recommendation",
    "Thresholds",
    "recommend",
]
