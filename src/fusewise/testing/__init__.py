"""The laws that every fusion estimator keeps, for anybody's estimator.

>>> from fusewise.testing import LAWS
>>> len(LAWS)
10
"""

from fusewise.testing.checker import LAWS, check_fusion_estimator
from fusewise.testing.cohort import make_dataset
from fusewise.testing.violation import LawViolation

__all__ = ["LAWS", "LawViolation", "check_fusion_estimator", "make_dataset"]
