"""Does the recommendation choose the right strategy before training? Regret over many deployments.

    python benchmarks/selection/run.py --half calibration [--seeds 1 2 3] [--cells c01 c02] [--pilot] [--cv]
    python benchmarks/selection/run.py --half calibration --table [--thresholds availability=0.95]
    python benchmarks/selection/run.py --half heldout            # fits alone; shows no score
    python benchmarks/selection/run.py --half heldout real --table --look "why"
    python benchmarks/selection/run.py --quick                   # six small cells, one seed

See docs/selection.md. What is done is kept per deployment and never done again; a run that was
killed goes on. Tables of the held-out half and of real sets are only made with --look, which adds a
line to docs/heldout_looks.md.
"""

from __future__ import annotations

import argparse
import sys
import traceback
from collections.abc import Callable
from functools import partial
from pathlib import Path

# The modules beside this folder (results_table, paired, ...) and this folder by its name.
sys.path.insert(0, str(Path(__file__).parents[1]))

from joblib import Parallel, delayed
from results_table import RESULTS, keep
from selection import cohorts, grid, real_sets
from selection.asking import POLICIES, STRATEGIES, ask
from selection.cap import CAP
from selection.judged import judge
from selection.looks import UNSEEN, log_look
from selection.posed import Posed
from selection.rows import FOLDER, DeploymentRows
from selection.tables import AIM, CLOSE, LIMIT, all_tables
from threadpoolctl import threadpool_limits

ALL = ("calibration", "heldout", "real")
# Of no half: other cap, one seed.
QUICK_FOLDER = RESULTS.parent / "cache" / "selection_quick"
N_QUICK, QUICK_CAP = 6, 20.0


def quick_cells() -> list[str]:
    """Return the calibration cells with the fewest numbers to learn from."""
    cells = grid.read("calibration")

    def size(cell: dict) -> int:
        return cell["cohort"]["n_train"] * sum(cell["cohort"]["modalities"].values())

    return sorted(cell["name"] for cell in sorted(cells, key=size)[:N_QUICK])


def deployments(halves: list[str]) -> dict[str, Callable[[int], Posed]]:
    """Return how to pose each deployment of some halves."""
    found: dict[str, Callable[[int], Posed]] = {}
    for half in halves:
        if half == "real":
            found |= {name: partial(real_sets.pose, name) for name in real_sets.names()}
        else:
            found |= {cell["name"]: partial(cohorts.pose, cell) for cell in grid.read(half)}
    return found


def one(
    name: str, pose: Callable[[int], Posed], seed: int, asked: list[str], cap: float, folder: Path
) -> dict[str, object]:
    """Compute one deployment and seed on one thread; a failure is told and stops nothing else."""
    import torch

    torch.set_num_threads(1)
    with threadpool_limits(1):
        try:
            return ask(partial(pose, seed), name, seed, asked, DeploymentRows(name, folder), cap)
        except Exception:  # noqa: BLE001 - the other deployments go on
            return {"deployment": name, "seed": seed, "failed": traceback.format_exc()}


def arguments() -> argparse.Namespace:
    """Return what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--half", nargs="+", choices=(*ALL, "all"), default=["calibration"])
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--cells", nargs="+", help="deployments by name; default: all of the half")
    parser.add_argument("--quick", action="store_true", help="small cells, in minutes")
    parser.add_argument("--cv", action="store_true", help="cross-validation on complete cases too")
    parser.add_argument("--pilot", action="store_true", help="the matrix with its pilot too")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--table", action="store_true", help="make tables of what is there")
    parser.add_argument("--thresholds", nargs="+", default=[], help="name=value, for the tables")
    parser.add_argument("--look", help="why held-out or real scores are looked at")
    given = parser.parse_args()
    given.half = [h for h in ALL if h in given.half or "all" in given.half]
    if given.quick and given.half != ["calibration"]:
        parser.error("--quick is of the calibration half")
    if given.table and not given.look and set(given.half) & set(UNSEEN):
        parser.error('tables of the held-out half and of real sets need --look "why"')
    return given


def fit(given: argparse.Namespace, posed: dict[str, Callable[[int], Posed]], folder: Path) -> bool:
    """Compute what is missing; return whether nothing failed."""
    asked = ["profile", *STRATEGIES, *(p for p in POLICIES if getattr(given, p))]
    jobs = [
        delayed(one)(name, pose, seed, asked, QUICK_CAP if given.quick else CAP, folder)
        for seed in given.seeds
        for name, pose in posed.items()
    ]
    failed = 0
    for done in Parallel(n_jobs=given.jobs, return_as="generator_unordered")(jobs):
        print(done.get("failed", ""), {k: v for k, v in done.items() if k != "failed"}, flush=True)
        failed += "failed" in done
    return not failed


def show(given: argparse.Namespace, names: list[str], folder: Path) -> None:
    """Make the tables of what is there."""
    moved = {k: float(v) for k, v in (pair.split("=") for pair in given.thresholds)}
    rows = [DeploymentRows(name, folder).read() for name in names]
    judged = [found for some in rows if (found := judge(some, moved or None))]
    if not judged:
        raise SystemExit("No deployment has all four fits yet: nothing to show.")
    tables = all_tables(judged, names)
    title = "_".join(["selection", *(["quick"] if given.quick else given.half)])
    if given.half == list(ALL):
        title = "selection"
    stale = sum(j.stale for j in judged)
    keep(
        title if not moved else f"{title}_moved",
        "Choosing a strategy before training: cross-fitted regret",
        tables,
        [
            (
                f"AUROC, accuracy for more than two classes. Limit of the upper end: {LIMIT}, aim "
                f"{AIM}; `within_.01`: share of deployments whose regret is at most {CLOSE}. "
                "`breaches`: share of choices that do not meet the declared requirements. "
                "Intervals: 95 %, clusters resampled 10,000 times (a cell, or a real set with all "
                "of its regimes). docs/selection.md says how it is measured."
            ),
            *([f"Thresholds moved: {moved}."] if moved else []),
            *(
                [f"{stale} fits are masked otherwise than the recommendation now would."]
                if stale
                else []
            ),
        ],
    )
    if given.look:
        log_look(" ".join(sys.argv[1:]), given.look, tables["Mean cross-fitted regret"])


def main() -> None:
    """Compute what is asked for and missing; make tables where nothing unseen would be shown."""
    given = arguments()
    folder = FOLDER
    posed = deployments(given.half)
    if given.quick:
        folder, given.seeds = QUICK_FOLDER, [1]
        posed = {name: posed[name] for name in quick_cells()}
    if given.cells:
        unknown = sorted(set(given.cells) - set(posed))
        if unknown:
            raise SystemExit(f"--cells: no {', '.join(unknown)} in {' and '.join(given.half)}.")
    # Tables are of the whole half and say what is missing.
    names = list(posed)
    if given.cells:
        posed = {name: posed[name] for name in given.cells}
    whole = given.table or fit(given, posed, folder)
    if given.table or not set(given.half) & set(UNSEEN) or given.look:
        show(given, names, folder)
    if not whole:
        raise SystemExit("Some deployments failed, see above.")


if __name__ == "__main__":
    main()
