"""The main job from Python, on data frames: profile, advice, model, evaluation, report.

    python examples/01_quickstart.py [FOLDER]

Everything that it writes goes to FOLDER (default: quickstart).
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pandas as pd

import fusewise as fw

folder = Path(sys.argv[1] if len(sys.argv) > 1 else "quickstart")
folder.mkdir(parents=True, exist_ok=True)

# Three tables as they come out of a hospital: who died, one static row for all, a stream of vital
# signs for most, cardiac enzymes for a third.
rng = np.random.default_rng(0)
n = 1200
risk = rng.normal(size=n)
samples = pd.DataFrame({"stay_id": np.arange(n), "gender": rng.choice(["f", "m"], n)})
samples["in_hospital_death"] = (risk + rng.logistic(size=n) > 1).astype(int)
static = pd.DataFrame({"stay_id": np.arange(n), "age": 60 + 12 * (0.5 * risk + rng.normal(size=n))})
stays = np.repeat(np.flatnonzero(rng.random(n) < 0.9), 4)
vitals = pd.DataFrame({"stay_id": stays, "minute": rng.integers(0, 2880, len(stays))})
vitals["variable"] = rng.choice(["heart_rate", "pressure"], len(stays))
vitals["value"] = 80 + 9 * risk[stays] + rng.normal(0, 12, len(stays))
measured = np.flatnonzero(rng.random(n) < 0.35)
cardiac = pd.DataFrame({"stay_id": measured})
cardiac["troponin"] = np.exp(risk[measured] + rng.normal(0, 0.7, len(measured)))

ds = fw.MultimodalDataset(
    {
        "static": static,
        "vitals": fw.Modality(
            vitals, kind="events", time="minute", variable="variable", value="value"
        ),
        "cardiac": cardiac,
    },
    samples=samples,
    id="stay_id",
    target="in_hospital_death",
    groups=["gender"],
)
print(ds)

train, test = fw.split(ds, test=0.3, stratify="pattern", random_state=0)
profile = fw.profile(train, deployment={"vitals": 0.8, "cardiac": 0.2})
advice = fw.recommend(profile)
print(advice)

model = advice.estimator(random_state=0)
model.fit(train, train.target)
print(model.predict_proba(test.without("cardiac"))[:3].round(3))

evaluation = fw.evaluate(
    model,
    test,
    metrics=["roc_auc", "brier_score"],
    deployment={"vitals": 0.8, "cardiac": 0.2},
    requirements=[{"absent": ["cardiac"], "metric": "roc_auc", "max_drop": 0.1}],
    n_boot=1000,
    random_state=0,
)
print(evaluation)

print(fw.report(profile, advice, evaluation).save(folder / "report.html"))
model.save(folder / "icu.fusewise")
again = fw.load(folder / "icu.fusewise").predict_proba(test)
assert np.array_equal(again, model.predict_proba(test))
