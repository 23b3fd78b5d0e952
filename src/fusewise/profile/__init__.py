"""Facts about the deployment: availability, arrival, dimensions, cadence, signal, and declared ones."""

from fusewise.profile.alignment import Alignment, debiased_cka
from fusewise.profile.arrival import arrival_notes, arrival_table, time_to_share
from fusewise.profile.arrival_log import arrival_of_log
from fusewise.profile.asynchrony import longest_lag
from fusewise.profile.availability import Availability, availability
from fusewise.profile.compute import compute_table
from fusewise.profile.declared import declared_profile
from fusewise.profile.dimensions import effective_dimension
from fusewise.profile.measure import profile
from fusewise.profile.mechanism import holm, mechanism_table
from fusewise.profile.on_tables import profile_tables
from fusewise.profile.probes import QUESTIONS, probe_table
from fusewise.profile.product_limit import MARKS
from fusewise.profile.redundancy import most_alike, redundancy_table
from fusewise.profile.result import SOURCE_WORDS, DeploymentProfile
from fusewise.profile.shift import time_windows
from fusewise.profile.sizes import sizes_table
from fusewise.profile.text import effect_text, fall_text, number, share
from fusewise.profile.wilson import wilson

__all__ = [
    "MARKS",
    "QUESTIONS",
    "SOURCE_WORDS",
    "Alignment",
    "Availability",
    "DeploymentProfile",
    "arrival_notes",
    "arrival_of_log",
    "arrival_table",
    "availability",
    "compute_table",
    "debiased_cka",
    "declared_profile",
    "effect_text",
    "effective_dimension",
    "fall_text",
    "holm",
    "longest_lag",
    "mechanism_table",
    "most_alike",
    "number",
    "probe_table",
    "profile",
    "profile_tables",
    "redundancy_table",
    "share",
    "sizes_table",
    "time_to_share",
    "time_windows",
    "wilson",
]
