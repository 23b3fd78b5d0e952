"""Signal that lies in the order of events, which summaries of them do not show.

    python examples/03_learned_fusion.py [FOLDER]

The report goes to FOLDER (default: learned).
"""

from __future__ import annotations

import sys
from pathlib import Path

import fusewise as fw
from fusewise.study import TrainingLog

folder = Path(sys.argv[1] if len(sys.argv) > 1 else "learned")
folder.mkdir(parents=True, exist_ok=True)

# A stream of events whose order tells, and a table that adds a little; each is absent for some.
cohort = fw.make_cohort(
    1_500,
    1_500,
    modalities={"monitor": 12, "ehr": 5},
    signal={"monitor": 2.0, "ehr": 1.0},
    timing={"monitor": "order"},
    availability={"monitor": 0.8, "ehr": 0.9},
    random_state=0,
)
train, test = cohort.train, cohort.test

profile = fw.profile(train, deployment={"rates": {"monitor": 0.8, "ehr": 0.9}, "timing": "yes"})
advice = fw.recommend(profile)
print(advice)  # late: timing alone does not outweigh absence, interaction is not known

late = fw.LateFusionClassifier(random_state=0).fit(train)
attention = fw.AttentionFusionClassifier(n_members=2, max_epochs=20, random_state=0).fit(train)
evaluation = fw.evaluate(
    attention, test, metrics=["roc_auc"], baselines={"late": late}, n_boot=200, random_state=0
)
print(evaluation.by_pattern[["view", "pattern", "n", "estimate", "low", "high"]], "\n")
print(evaluation.baselines, "\n")

print("What each modality carries: the rise of the loss without it, in the last epoch")
log = attention.contributions_
last = log[log["epoch"] == log["epoch"].max()]
print(last.groupby("modality")["contribution"].mean().round(3), "\n")

print("What one sample was read by (a diagnostic, no explanation)")
print(attention.attention_weights(test[:1]).query("head == 0").round(3))

page = fw.report(profile, advice, evaluation, training=TrainingLog.of(attention))
page.save(folder / "report.html")
print(f"{folder / 'report.html'}")
