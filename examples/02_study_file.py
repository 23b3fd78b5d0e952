"""The same job from a study file: stages that are kept, one value changed, what that repeats.

    python examples/02_study_file.py [FOLDER]

Simulates a small cohort in FOLDER (default: study-example), with its tables and its study file.
"""

from __future__ import annotations

import sys
from pathlib import Path

import fusewise as fw
from fusewise.simulate import write_oncology_cohort

folder = Path(sys.argv[1] if len(sys.argv) > 1 else "study-example")
path = write_oncology_cohort(folder, n=400)

study = fw.read_study(path)
train, test = study.split()
print(train, test.shape, study.deployment.source)

first = study.run(folder / "run")
print("done:", ", ".join(first.executed))
print(first.recommendation)
print(first.evaluation.requirements[["requirement", "status", "reason"]])

# Only what depends on the requirements is done again: nothing is trained.
stricter = {"requirements.0.at_least": 0.99}
second = fw.read_study(path, overrides=stricter).run(folder / "run")
print("done:", ", ".join(second.executed))
print(second.next_step or "every requirement is met or undetermined")
print(second.report)
