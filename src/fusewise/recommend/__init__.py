"""The decision matrix as data; recommendations with reasons; a pilot that may overrule them."""

from fusewise.recommend.advise import recommend
from fusewise.recommend.masking import SCHEDULE_WORDS
from fusewise.recommend.matrix import MATRIX, PRECEDENCE
from fusewise.recommend.pilot_result import LOSS_WORDS, Pilot
from fusewise.recommend.pilot_run import pilot
from fusewise.recommend.result import Need, Reason, Recommendation
from fusewise.recommend.thresholds import Thresholds

__all__ = [
    "LOSS_WORDS",
    "MATRIX",
    "PRECEDENCE",
    "SCHEDULE_WORDS",
    "Need",
    "Pilot",
    "Reason",
    "Recommendation",
    "Thresholds",
    "pilot",
    "recommend",
]
