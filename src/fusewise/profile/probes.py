"""Does timing carry signal, and do modalities interact? Two questions put to the training rows."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from fusewise.data import MultimodalDataset
from fusewise.profile.additive import additive_projection
from fusewise.profile.arrival import clock_starts
from fusewise.profile.boosted import Effect, Part, Ways, compare, fitted
from fusewise.profile.dimensions import standardise, to_matrix
from fusewise.profile.event_features import timed, untimed
from fusewise.profile.text import fall_text

FloatArray = npt.NDArray[np.float64]

QUESTIONS = {"timing": "Does timing carry signal?", "interaction": "Do modalities interact?"}
# The modalities that a sample needs to tell of each.
AXES = {"timing": 1, "interaction": 2}
MAX_SAMPLES = 4_000
N_REPEATS = 3
# Fewer samples, or fewer samples or clusters of the rarer class, tell nothing out of fold.
MIN_SAMPLES = 100
MIN_RARER = 20
# A wider modality enters as its first principal components.
MAX_COLUMNS = 300
N_COMPONENTS = 50


def probe_table(
    ds: MultimodalDataset, seed: np.random.SeedSequence, *, max_samples: int = MAX_SAMPLES
) -> pd.DataFrame:
    """Ask whether timing carries signal and whether modalities interact.

    Both questions are answered by predicting the same samples in two ways, one of which may use
    what is asked about and the other may not, with gradient boosting, out of fold; the effect is by
    how much that lowers the loss. It is a lower bound: what such models do not find is not shown.
    An effect whose interval lies above zero counts as a yes.

    *Timing.* Both models know how often each variable was seen and how its values are distributed,
    and all tables. Both also know features of times and order
    (:func:`~fusewise.profile.event_features.timed`); but for one of them the times were first dealt
    out anew among all events of a modality. So both have as many features, and differ only in
    whether times mean anything. Times are counted from the prediction; without prediction times,
    numbers as they are and timestamps from the sample's own first event of any modality, so that a
    target that drifts over the calendar is no finding.

    *Interaction.* One model that knows all features, and which modalities are present, is held
    against its own projection onto sums over modalities
    (:func:`~fusewise.profile.additive.additive_projection`), on the scale of the log-odds. The sum
    may depend on the availability pattern: that absence changes what the others are worth is no
    interaction. Samples with fewer than two modalities tell nothing and are left out.

    Parameters
    ----------
    ds : MultimodalDataset
        Training rows.
    seed : SeedSequence
    max_samples : int
        Samples at most, drawn in the order of their ids.

    Returns
    -------
    DataFrame
        ``axis, n, metric, score_without, score_with, effect, low, high, shown, note``, one row per
        axis. `effect` is in nats of log loss, or in units of the target's variance. NaN, with the
        reason in `note`, where the question cannot be put.

    References
    ----------
    Hessel and Lee (2020). Does my multimodal model learn cross-modal interactions? EMNLP.
    """
    n_present = ds.presence.sum(axis=1)
    rows = []
    for (axis, least), own in zip(AXES.items(), seed.spawn(len(AXES)), strict=True):
        chosen = np.flatnonzero(n_present >= least)
        rows.append({"axis": axis} | _asked(ds, axis, chosen, own, max_samples))
    return pd.DataFrame(rows).astype({"metric": "str", "note": "str"})


def _asked(
    ds: MultimodalDataset,
    axis: str,
    rows: npt.NDArray[np.intp],
    seed: np.random.SeedSequence,
    max_samples: int,
) -> dict[str, Any]:
    draw, dealt, fits = seed.spawn(3)
    rows = rows[np.argsort(ds.ids[rows], kind="stable")]
    if len(rows) > max_samples:
        taken = np.random.default_rng(draw).choice(len(rows), max_samples, replace=False)
        rows = rows[np.sort(taken)]
    part = ds[rows]
    why_not = _why_not(part, axis)
    if why_not:
        return _row(None, why_not, len(rows))
    ways = _timing if axis == "timing" else _interaction
    return _row(compare(part, ways(part, dealt), fits))


def _why_not(ds: MultimodalDataset, axis: str) -> str:
    """Say why a question cannot be put to these samples, or nothing."""
    events = [m for m, kind in ds.kinds.items() if kind == "events"]
    if axis == "timing" and not events:
        return "no modality has times"
    if axis == "timing" and not any(len(ds.events(m)) for m in events):
        return "no modality has an event with a time"
    if axis == "interaction" and ds.n_modalities < 2:
        return "there is one modality"
    if ds.target is None:
        return "there is no target"
    if ds.task not in ("binary", "multiclass", "regression"):
        return f"not measured for the task {ds.task}"
    if len(ds) < MIN_SAMPLES:
        return f"{len(ds):,} samples are too few, {MIN_SAMPLES} are needed"
    if ds.cluster is not None and len(np.unique(ds.cluster)) < 2 * MIN_RARER:
        return f"fewer than {2 * MIN_RARER} clusters"
    if ds.task == "regression":
        return "" if np.ptp(ds.target.astype(float)) > 0 else "the target is constant"
    return _too_rare(ds.target, None) or _too_rare(ds.target, ds.cluster)


def _too_rare(target: npt.NDArray[Any], cluster: npt.NDArray[Any] | None) -> str:
    """Say that a class has too few samples, or clusters: some fold would be fitted without it."""
    unit = "sample" if cluster is None else "cluster"
    if cluster is not None:
        numbers = [np.unique(of, return_inverse=True)[1] for of in (target, cluster)]
        target = np.unique(np.column_stack(numbers), axis=0)[:, 0]
    counts = np.unique(target, return_counts=True)[1]
    rarest = int(counts.min()) if len(counts) > 1 else 0
    if rarest >= MIN_RARER:
        return ""
    return f"the rarest class has {rarest} {unit}{'s' * (rarest != 1)}, {MIN_RARER} are needed"


def _row(effect: Effect | None, note: str = "", n: int = 0) -> dict[str, Any]:
    if effect is None:
        nothing = dict.fromkeys(("score_without", "score_with", "effect", "low", "high"), math.nan)
        return {"n": n, "metric": "", **nothing, "shown": False, "note": note}
    return {
        "n": effect.n,
        "metric": effect.metric,
        "score_without": effect.scores[0],
        "score_with": effect.scores[1],
        "effect": effect.value,
        "low": effect.low,
        "high": effect.high,
        "shown": bool(effect.low > 0),
        "note": note,
    }


def _interaction(ds: MultimodalDataset, seed: np.random.SeedSequence) -> list[Ways]:
    """Return what predicts by the projection of a joint model, and by the model itself."""
    presence = _presence(ds)
    parts, blocks, start = [presence.astype(float)], [], ds.n_modalities
    lending, *squeezing = seed.spawn(1 + ds.n_modalities)
    # In the order of their names, so that the order of modalities does not reach the draws.
    for name, child in zip(sorted(ds.modalities), squeezing, strict=True):
        block = _block(ds, name, ds.features(name)[1], child)
        blocks.append(slice(start, start + block.shape[1]))
        parts.append(block)
        start += block.shape[1]
    features = np.concatenate(parts, axis=1)

    def predict(part: Part, y: npt.NDArray[Any], k: int) -> tuple[FloatArray, FloatArray]:
        joint = fitted(features, y, k, part)
        rows = features[part.test]
        rng = np.random.default_rng([*lending.generate_state(2), part.seed])
        apart = additive_projection(
            joint, rows, presence[part.test], blocks, features[part.fit],
            presence[part.fit], rng,
        )  # fmt: skip
        return apart, joint(rows)

    return [predict] * N_REPEATS


def _timing(ds: MultimodalDataset, seed: np.random.SeedSequence) -> list[Ways]:
    """Return what predicts without times that mean something, and with them."""
    known, within = [_presence(ds).astype(float)], []
    streams = []
    # A sample without a start has no events either.
    origin = clock_starts(ds) if ds.prediction_time is None else ds.prediction_time
    for name, child in zip(sorted(ds.modalities), seed.spawn(ds.n_modalities), strict=True):
        kind = ds.kinds[name]
        squeeze, *deals = child.spawn(1 + N_REPEATS)
        frame = ds.features(name)[1]
        known.append(_block(ds, name, untimed(frame) if kind == "events" else frame, squeeze))
        if kind == "events":
            events = ds.events(name)
            ages = events["time"].to_numpy(dtype=float) - origin[events["position"].to_numpy()]
            within.append(_timed(ds, events, ages))
            streams.append((events, ages, deals))
    features = np.concatenate([*known, *within], axis=1)

    def way(repeat: int) -> Ways:
        # The same events and values; what is lost is when.
        without = [
            _timed(ds, events, np.random.default_rng(deals[repeat]).permutation(times))
            for events, times, deals in streams
        ]
        mixed = np.concatenate([*known, *without], axis=1)

        def predict(part: Part, y: npt.NDArray[Any], k: int) -> tuple[FloatArray, FloatArray]:
            one, other = (fitted(x, y, k, part)(x[part.test]) for x in (mixed, features))
            return one, other

        return predict

    return [way(repeat) for repeat in range(N_REPEATS)]


def _timed(ds: MultimodalDataset, events: pd.DataFrame, time: npt.NDArray[Any]) -> FloatArray:
    horizon = (float(time.min(initial=0.0)), float(time.max(initial=0.0)))
    return timed(events.assign(time=time), len(ds), horizon).to_numpy()


def _presence(ds: MultimodalDataset) -> npt.NDArray[np.bool_]:
    """Return presence (n, M) with the modalities in the order of their names."""
    return ds.presence[:, [ds.modalities.index(name) for name in sorted(ds.modalities)]]


def _block(
    ds: MultimodalDataset, name: str, frame: pd.DataFrame, seed: np.random.SeedSequence
) -> FloatArray:
    """Lay out the features of a modality for all samples; NaN for those that do not have it."""
    values = to_matrix(frame)
    if values.shape[1] > MAX_COLUMNS:
        values = _components(values, seed)
    full = np.full((len(ds), values.shape[1]), np.nan)
    full[ds.presence[:, ds.modalities.index(name)]] = values
    return full


def _components(values: FloatArray, seed: np.random.SeedSequence) -> FloatArray:
    """Return the first principal components of a wide modality; they know no target.

    There are none where nothing varies.
    """
    from sklearn.decomposition import PCA

    scaled = standardise(values)
    k = min(N_COMPONENTS, *scaled.shape)
    if k == 0:
        return np.zeros((len(values), 0))
    state = int(seed.generate_state(1)[0] >> 1)
    found = PCA(k, svd_solver="randomized", random_state=state).fit_transform(scaled)
    return np.asarray(found, dtype=float)


_CLAIMS = {"timing": "Timing carries signal", "interaction": "Modalities interact"}
_WAYS = {
    "timing": "when events come, and in which order",
    "interaction": "which values of several modalities come together",
}


def probe_notes(table: pd.DataFrame) -> list[str]:
    """Say in a sentence each what the probes found."""
    notes = []
    for row in table.to_dict("records"):
        claim = _CLAIMS[row["axis"]]
        if row["note"]:
            notes.append(f"{claim}: not measured, as {row['note']}.")
            continue
        fall = fall_text(row["effect"], row["low"], row["high"])
        notes.append(
            f"{claim}: {'shown' if row['shown'] else 'not shown'}. Knowing {_WAYS[row['axis']]}, the "
            f"loss {fall}, n {row['n']:,}."
        )
    return notes
