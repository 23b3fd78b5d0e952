"""Results to report on."""

from __future__ import annotations

import pytest

from tests.report.report_results import make_evaluation, make_profile, make_recommendation


@pytest.fixture(scope="session")
def results():
    """Return a profile, a recommendation and an evaluation with twelve modalities."""
    profile = make_profile()
    return profile, make_recommendation(), make_evaluation(profile)
