"""Cohorts with known truth, and amputation of real data."""

from fusewise.simulate.ampute import ampute
from fusewise.simulate.availability import Availability
from fusewise.simulate.cohort import Cohort, make_cohort
from fusewise.simulate.design import Interaction
from fusewise.simulate.oncology import write_oncology_cohort
from fusewise.simulate.signal import Noise

__all__ = [
    "Availability",
    "Cohort",
    "Interaction",
    "Noise",
    "ampute",
    "make_cohort",
    "write_oncology_cohort",
]
