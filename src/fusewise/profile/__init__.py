"""Facts about the deployment: availability, dimensionality, cadence, and what is declared."""

from fusewise.profile.availability import Availability, availability
from fusewise.profile.declared import declared_profile
from fusewise.profile.dimensions import effective_dimension
from fusewise.profile.measure import profile
from fusewise.profile.result import DeploymentProfile
from fusewise.profile.text import number, share
from fusewise.profile.wilson import wilson

__all__ = [
    "Availability",
    "DeploymentProfile",
    "availability",
    "declared_profile",
    "effective_dimension",
    "number",
    "profile",
    "share",
    "wilson",
]
