"""A part of a log of requests: by time, and by site."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import fusewise as fw
from fusewise.data import Deployment
from fusewise.exceptions import DeploymentError, FusewiseError

# Request 1 in January at A with both, 2 in February at B with one, 3 in March at A with one,
# 4 without a time; the second row of request 1 came a month later.
LONG = pd.DataFrame(
    {
        "request": [1, 1, 2, 3, 4],
        "modality": ["ehr", "ct", "ehr", "ct", "ehr"],
        "came": pd.to_datetime(["2026-01-10", "2026-02-20", "2026-02-10", "2026-03-10", None]),
        "site": ["A", "A", "B", "A", None],
    }
)
WIDE = pd.DataFrame(
    {"ehr": [True, True, False, True], "ct": [True, False, True, False],
     "day": [10, 41, 69, 70], "site": [1, 2, 1, 3]}
)  # fmt: skip


@pytest.mark.parametrize(
    ("window", "counts", "left_out"),
    [
        ({"since": "2026-02-01"}, {"ct": 1, "ehr": 1}, 2),
        ({"until": "2026-02-01"}, {"ct+ehr": 1}, 3),
        ({"since": "2026-02-10", "until": "2026-03-10"}, {"ehr": 1}, 3),
        ({"since": date(2026, 1, 10), "until": pd.Timestamp("2026-02-10 00:00:01")},
         {"ct+ehr": 1, "ehr": 1}, 2),
        ({"where": {"site": "A"}}, {"ct": 1, "ct+ehr": 1}, 2),
        ({"since": "2026-02-01", "where": {"site": ["A", "C"]}}, {"ct": 1}, 3),
    ],
)  # fmt: skip
def test_a_long_log_counts_the_requests_of_its_window(
    window: dict[str, object], counts: dict[str, int], left_out: int
) -> None:
    """A request stays whole: it has the earliest of its times, also in a shuffled log."""
    for log in (LONG, LONG.sample(frac=1, random_state=0)):
        found = Deployment.of({"observed": log, **window})
        assert found.counts == counts
        assert found.requests is not None
        assert found.requests["used"] == sum(counts.values())
        assert found.requests["left_out"] == left_out
        assert Deployment.from_json(found.to_json()) == found


def test_a_wide_log_counts_its_rows() -> None:
    """By numbers, on a named column; values are compared as text."""
    found = Deployment.of({"observed": WIDE, "since": 41, "until": 70, "time": "day"})
    assert found.counts == {"ct": 1, "ehr": 1}
    found = Deployment.of({"observed": WIDE, "where": {"site": [1, "3"]}})
    assert found.counts == {"ct+ehr": 1, "ct": 1, "ehr": 1}
    assert found.requests == {"where": {"site": ["1", "3"]}, "used": 3, "left_out": 1}


def test_times_with_a_zone_are_compared_in_it() -> None:
    """A bare date is one of the log's zone; a bound with a zone is brought there."""
    log = LONG.assign(came=LONG["came"].dt.tz_localize("Europe/Berlin"))
    assert Deployment.of({"observed": log, "since": "2026-03-10"}).n_requests == 1
    assert Deployment.of({"observed": log, "since": "2026-03-09T23:00:00+00:00"}).n_requests == 1
    with pytest.raises(DeploymentError, match="no request of the log"):
        Deployment.of({"observed": log, "since": "2026-03-09T23:00:01+00:00"})


def test_the_whole_log_has_no_window() -> None:
    """Without one nothing changes."""
    assert Deployment.of(LONG).requests is None
    assert Deployment.of(LONG).n_requests == 4


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"since": "2027-01-01"}, (r"no request .* \(came since 2027-01-01\); it has 4 requests, from "
         r"2026-01-10.* to 2026-03-10")),
        ({"where": {"site": ["Z"]}}, r"no request .* \(site Z\)"),
        ({"where": {"sit": ["A"]}}, "no column 'sit'.*Did you mean 'site'"),
        ({"since": 3}, "since must be a date or time"),
        ({"since": "soon"}, "since must be a date or time like 2026-01-31, got 'soon'"),
        ({"since": "2026-01-01", "time": "site"}, "neither numbers nor timestamps"),
        ({"time": "came"}, "neither since nor until"),
    ],
)  # fmt: skip
def test_a_window_that_cannot_be_is_refused(given: dict[str, object], message: str) -> None:
    """With what the log has instead."""
    with pytest.raises(DeploymentError, match=message):
        Deployment.of({"observed": LONG, **given})


def test_without_a_log_there_is_no_part_of_one() -> None:
    """Nor with two columns of times and none named, nor text beside numbers."""
    for given in ({"rates": {"ct": 0.5}}, {"observed": "training"}):
        with pytest.raises(DeploymentError, match="takes a part of a log"):
            Deployment.of({**given, "since": "2026-01-01"})
    with pytest.raises(DeploymentError, match="came, sent .*Name it by time="):
        Deployment.of({"observed": LONG.assign(sent=LONG["came"]), "since": "2026-01-01"})
    with pytest.raises(DeploymentError, match="none with timestamps"):
        Deployment.of({"observed": WIDE, "since": 4})
    with pytest.raises(DeploymentError, match="must be a number"):
        Deployment.of({"observed": WIDE, "since": "2026-01-01", "time": "day"})


def test_the_profile_says_how_many_requests_were_used() -> None:
    """A note, and the facts; the recommendation reads the rates of the window."""
    ids = pd.DataFrame({"id": np.arange(6)})
    ds = fw.MultimodalDataset(
        {"ehr": ids.assign(x=1.0), "ct": ids.assign(z=2.0)}, samples=ids, id="id"
    )
    profile = fw.profile(ds, {"observed": LONG, "where": {"site": ["A"]}})
    assert "Availability is of 2 of the log's 4 requests: site A." in profile.notes
    assert profile.deployment["requests"]["left_out"] == 2
    rates = profile.availability.set_index("modality")["rate"]
    assert rates.to_dict() == {"ct": 1.0, "ehr": 0.5}
    again = fw.DeploymentProfile.from_json(profile.to_json())
    assert again == profile
    assert fw.recommend(again).strategy == "late"


def test_a_study_file_names_a_window(tmp_path: Path) -> None:
    """Dates as YAML reads them, and one site without a list."""
    LONG.to_parquet(tmp_path / "requests.parquet")
    ids = pd.DataFrame({"id": np.arange(40), "y": np.arange(40) % 2})
    ids.to_parquet(tmp_path / "samples.parquet")
    for name in ("ehr", "ct"):
        ids[["id"]].assign(x=ids["id"] * 1.0).to_parquet(tmp_path / f"{name}.parquet")
    text = (
        "study: s\nsamples: {table: samples.parquet, id: id, target: y}\n"
        "modalities: {ehr: {table: ehr.parquet}, ct: {table: ct.parquet}}\n"
        "deployment:\n  observed: requests.parquet\n"
    )
    path = tmp_path / "study.yaml"
    path.write_text(
        f"{text}  since: 2026-02-01\n  until: 2026-03-01 12:00:00\n  where: {{site: B}}\n"
    )
    study = fw.read_study(path)
    assert study.deployment.counts == {"ehr": 1}
    run = study.run(tmp_path / "run", until="profile")
    assert "of 1 of the log's 4 requests" in " ".join(run.profile.notes)
    path.write_text(f"{text.replace('requests.parquet', 'training')}  since: 2026-02-01\n")
    with pytest.raises(FusewiseError, match="takes a part of a log"):
        fw.read_study(path)
