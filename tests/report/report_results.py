"""Results with realistic content, made without computing them: twelve panels of an ICU cohort."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pandas as pd

from fusewise.evaluate import Evaluation
from fusewise.profile import DeploymentProfile
from fusewise.recommend import Reason, Recommendation

RATES = {
    "static": 1.0, "vitals": 0.988, "neuro": 0.984, "chemistry": 0.983, "blood_count": 0.981,
    "urine": 0.972, "blood_gas": 0.761, "ventilation": 0.741, "invasive_pressure": 0.702,
    "lactate": 0.551, "liver": 0.523, "cardiac": 0.296,
}  # fmt: skip
WIDTHS = {
    "static": 6, "vitals": 45, "neuro": 9, "chemistry": 81, "blood_count": 27, "urine": 9,
    "blood_gas": 36, "ventilation": 18, "invasive_pressure": 27, "lactate": 9, "liver": 45,
    "cardiac": 18,
}  # fmt: skip
NAN = float("nan")


def wilson(share, n):
    """Give an interval of plausible width."""
    half = 1.96 * np.sqrt(np.maximum(share * (1 - share), 1e-9) / max(n, 1))
    return max(share - half, 0.0), min(share + half, 1.0)


def label(present):
    return "+".join(sorted(present)) or "(none)"


def make_profile(rates=None, *, n=9590, n_patterns=40, source="observed", seed=0, widths=None):
    """Return an object with the columns of a deployment profile."""
    rates = RATES if rates is None else rates
    rng = np.random.default_rng(seed)
    names = tuple(rates)
    m = len(names)
    p = np.array(list(rates.values()))
    presence = rng.random((n, m)) < p
    keys, counts = np.unique(presence, axis=0, return_counts=True)
    order = np.argsort(-counts)[:n_patterns]
    total = counts[order].sum()
    declared = source != "none"
    patterns = []
    for place, i in enumerate(order):
        share = counts[i] / total
        unseen = declared and place % 9 == 8
        patterns.append(
            {
                "pattern": label(np.array(names)[keys[i]]),
                "n_train": 0 if unseen else int(counts[i]),
                "share_train": 0.0 if unseen else share,
                "n_deployment": float(round(2000 * share)) if declared else NAN,
                "share_deployment": share * rng.uniform(0.6, 1.3) if declared else NAN,
                "unseen": unseen,
            }
        )
    patterns = pd.DataFrame(patterns)
    if declared:
        patterns["share_deployment"] /= patterns["share_deployment"].sum()
    rows = []
    for j, name in enumerate(names):
        rate = float(presence[:, j].mean())
        use = min(1.0, rate * 0.93) if declared else NAN
        low, high = wilson(use, 2000) if declared else (NAN, NAN)
        rows.append(
            {
                "modality": name, "n_train": int(presence[:, j].sum()), "rate_train": rate,
                "low_train": wilson(rate, n)[0], "high_train": wilson(rate, n)[1],
                "n_deployment": 2000.0 if declared else NAN, "rate": use, "low": low, "high": high,
            }
        )  # fmt: skip
    pairs = [
        {"modality": a, "other": b, "both": float((presence[:, i] & presence[:, j]).mean()),
         "phi": float(np.clip(rng.normal(0.15, 0.25), -1, 1))}
        for i, a in enumerate(names) for j, b in enumerate(names) if i < j
    ]  # fmt: skip
    widths = widths or {name: WIDTHS.get(name, 30) for name in names}
    dimensions = [
        {"modality": name, "kind": "table" if name == "static" else "events",
         "n": int(presence[:, j].sum()), "width": widths[name],
         "effective": max(1.0, widths[name] ** 0.72),
         "samples_per_dimension": presence[:, j].sum() / max(1.0, widths[name] ** 0.72),
         "variance_share": widths[name] / sum(widths.values()),
         "missing_share": 0.02 * (j % 4)}
        for j, name in enumerate(names)
    ]  # fmt: skip
    cadence = [
        {"modality": name, "events_per_sample": 300.0 / (j + 1), "median_gap": 12.0 * (j + 1),
         "regularity": 0.9 - 0.05 * j, "age_at_prediction": 20.0 * (j + 1),
         "n": int(presence[:, j].sum())}
        for j, name in enumerate(names) if name != "static" and j < 20
    ]  # fmt: skip
    groups = [
        {"group": "gender", "level": level, "modality": name, "n": n // 2,
         "rate": rates[name], "low": max(rates[name] - 0.01, 0), "high": min(rates[name] + 0.01, 1)}
        for level in ("female", "male") for name in names
    ]  # fmt: skip
    return DeploymentProfile(
        n_samples=n,
        modalities=names,
        kinds=dict.fromkeys(names, "events"),
        task="binary",
        deployment={"cohort": "open", "synchronised": False, "timing": "unknown",
                    "interaction": "unknown", "interpretability": "preferred",
                    "validation": (), "latency_ms": 50.0, "memory_mb": None},
        source=source,
        availability=pd.DataFrame(rows),
        group_availability=pd.DataFrame(groups),
        patterns=patterns,
        copresence=pd.DataFrame(pairs, columns=["modality", "other", "both", "phi"]),
        complete_case=pd.DataFrame(
            [{"population": "train", "n": 1007, "share": 0.105, "low": 0.099, "high": 0.111}]
            + ([{"population": "deployment", "n": 160, "share": 0.08, "low": 0.069, "high": 0.093}]
               if declared else [])
        ),
        dimensions=pd.DataFrame(dimensions),
        dimension_ratio=max(widths.values()) / min(widths.values()),
        cadence=pd.DataFrame(cadence),
        cadence_ratio=12.4,
        notes=("Rates are over training rows only.",),
        **make_evidence(names, declared=declared),
    )  # fmt: skip


def make_evidence(names, *, declared=True):
    """Return the tables of what the training rows were asked, by field of a profile."""
    pattern = {
        "n_from": 9590.0,
        "expected_if_same": 0.031,
        "most_changed": f"{names[-1]} 0.30 to 0.28",
    }
    deployment = {"from": "training", "to": "deployment", "n_to": 2000.0, "distance": 0.112,
                  "low": 0.083, "high": 0.134, "p": 0.002}  # fmt: skip
    levels = [
        {"from": "all others", "to": f"site: {i}", "n_to": 400.0 + i, "distance": 0.2 - 0.01 * i,
         "low": max(0.05 - 0.02 * i, 0.0), "high": 0.3, "p": min(0.004 + 0.03 * i, 1.0)}
        for i in range(11)
    ]  # fmt: skip
    arrival = [
        {"modality": name, "time": 12.0 * (j + 1) * k, "share": share, "low": max(share - 0.02, 0.0),
         "high": min(share + 0.02, 1.0), "at_risk": 1000 - 100 * k}
        for j, name in enumerate(names) if name != "static" and j < 20
        for k, share in enumerate((0.0, 0.3, 0.55, 0.9 - 0.05 * (j % 9)))
    ]  # fmt: skip
    mechanism = [
        {"modality": name, "depends_on": source, "n": 1000,
         "score": 0.55 + 0.02 * (j % 9), "low": 0.5 + 0.02 * (j % 9), "high": 0.6 + 0.02 * (j % 9),
         "p": 0.002, "p_holm": 0.024 if j % 2 else 0.31, "note": ""}
        for j, name in enumerate(names) if j
        for source in ("values", "target", "group:gender")
    ]  # fmt: skip
    mechanism += [
        {"modality": names[0], "depends_on": source, "n": 0, "note": "0 samples lack it",
         **dict.fromkeys(("score", "low", "high", "p", "p_holm"), NAN)}
        for source in ("values", "target", "group:gender")
    ]  # fmt: skip
    probes = [
        {"axis": "timing", "n": 4000, "metric": "roc_auc", "score_without": 0.827,
         "score_with": 0.85, "effect": 0.015, "low": 0.006, "high": 0.024, "shown": True,
         "note": ""},
        {"axis": "interaction", "n": 4000, "metric": "roc_auc", "score_without": 0.846,
         "score_with": 0.851, "effect": 0.002, "low": -0.0015, "high": 0.0055, "shown": False,
         "note": ""},
    ]  # fmt: skip
    streams = [name for name in names if name != "static"][:8]
    staleness = [
        {"modality": name, "n": 4000, "age_q25": 10.0 + i, "age": 20.0 + i, "age_q75": 40.0,
         "age_q90": 80.0, "low": 19.0, "high": 30.0, "typical_gap": 25.0, "share_older": 0.42,
         "share_low": 0.40, "share_high": 0.44, "note": ""}
        for i, name in enumerate(streams)
    ]  # fmt: skip
    asynchrony = [
        {"modality": a, "other": b, "n_both": 4000, "share_both": 0.4, "n": 3900, "preceded": 0.93,
         "lag_q25": 1.0, "lag": 5.0 + i + 2 * j, "lag_q75": 60.0, "low": 4.5, "high": 30.5}
        for i, a in enumerate(streams) for j, b in enumerate(streams) if i != j
    ]  # fmt: skip
    compute = [
        {"strategy": strategy, "situation": situation, "outputs": 2, "modalities": 12.0,
         "parameters": 25_800, "model_mb": 1.08, "multiply_adds": 2944.1, "memory_mb": 431.1,
         "memory_low": 344.9, "memory_high": 538.9, "latency_ms": ms, "latency_low": ms / 2,
         "latency_high": 2 * ms}
        for strategy, whole in (("early", 14.6), ("intermediate", 27.2), ("late", 28.6),
                                ("attention", 37.8))
        for situation, ms in (("complete", whole), ("deployment", 0.8 * whole if declared else NAN))
    ]  # fmt: skip
    redundancy = [
        {"modality": a, "other": b, "n_both": 5000, "n": 2000, "cka": 0.72 - 0.02 * (i + 3 * j),
         "low": 0.69 - 0.02 * (i + 3 * j), "high": 0.75 - 0.02 * (i + 3 * j), "note": ""}
        for i, a in enumerate(names) for j, b in enumerate(names[i + 1 :]) if i + j < 22
    ]  # fmt: skip
    return {
        "redundancy": pd.DataFrame(redundancy),
        "compute": pd.DataFrame(compute),
        "asynchrony": pd.DataFrame(asynchrony),
        "staleness": pd.DataFrame(staleness),
        "shift": pd.DataFrame([pattern | deployment] if declared else []),
        "group_shift": pd.DataFrame([pattern | level for level in levels]),
        "arrival": pd.DataFrame(arrival),
        "mechanism": pd.DataFrame(mechanism),
        "probes": pd.DataFrame(probes),
    }


def make_recommendation(strategy="late", trainable=None):
    """Return a recommendation that availability decided."""
    trainable = trainable or strategy
    moves = pd.DataFrame(
        {"threshold": ["availability", "availability"], "value": [0.9, 0.9],
         "moved_to": [0.88, 0.92], "strategy": [strategy, strategy]}
    )  # fmt: skip
    return Recommendation(
        strategy=strategy,
        masking="deployment",
        reasons=(
            Reason(
                "availability",
                "Often absent in deployment: cardiac 0.28, liver 0.49, lactate 0.51 and 3 more. "
                "The lower limit of 7 of 12 modalities is below 0.90.",
                0.275, 0.256, 0.295, 0.9, met=False,
            ),
            Reason("dimensions", "Widths span 13.5 : 1, from static (6) to chemistry (81).",
                   13.5, None, None, 100.0, met=False),
            Reason(
                "temporal+interaction",
                "Timing carries signal: unknown. Modalities interact: unknown. Evaluation cohorts: "
                "none. Unknown never counts as yes.",
                "unknown, unknown", None, None, "yes, yes, with an evaluation cohort", met=False,
            ),
            Reason(
                "cohort", "The cohort is open: who is measured, and how, may change after training.",
                "open", None, None, "controlled", met=False,
            ),
            Reason(
                "samples", "9,590 samples for 133 effective dimensions in all modalities together: "
                "72.1 for each.", 72.1, None, None, 10.0, met=True,
            ),
        ),
        conflicts=("Widths of 13.5 : 1 speak for nothing here <but> this is a conflict.",),
        alternatives=("early", "intermediate", "attention"),
        would_change_if=(
            ("Every modality present for at least 0.90 of requests (cardiac 0.28), and a controlled "
            "cohort: early fusion."),
        ),
        stability=0.987,
        thresholds={"availability": 0.9, "dimension_gap": 100.0, "samples_per_dimension": 10.0},
        trainable=trainable,
        why_trainable="" if trainable == strategy
        else f"The study file asks for {trainable} fusion; {strategy} fusion was recommended.",
        rule=2,
        excluded={},
        maskings={"late": None, "early": "deployment", "intermediate": "deployment",
                  "attention": "deployment"},
        sensitivity=moves,
        task="binary",
    )  # fmt: skip


def make_evaluation(
    profile,
    *,
    metrics=("roc_auc", "average_precision", "brier_score"),
    seed=1,
    requirements=True,
    task="binary",
):
    """Return an object with the columns of an evaluation of the profile's patterns."""
    rng = np.random.default_rng(seed)
    base = {"roc_auc": 0.853, "average_precision": 0.497, "brier_score": 0.089,
            "rmse": 1342.0, "r2": 0.61}  # fmt: skip
    names = list(profile.modalities)
    share = "share_deployment" if profile.source != "none" else "share_train"
    by_pattern, by_n, degradation, baselines, headline, pooled = [], [], [], [], [], []
    for metric in metrics:
        level, sign = base[metric], -1 if metric in ("brier_score", "rmse") else 1
        unit = level * 0.06
        headline.append(
            {"metric": metric, "estimate": level, "low": level - 0.3 * unit,
             "high": level + 0.3 * unit, "n": 1199, "effective_n": 1043.4,
             "by_pattern_mean": level - 0.2 * sign * unit, "source": profile.source}
        )  # fmt: skip
        pooled.append({"metric": metric, "estimate": level * 1.003, "low": level - 0.3 * unit,
                       "high": level + 0.3 * unit, "n": 1199})  # fmt: skip
        for row in profile.patterns.to_dict("records"):
            absent = len(names) - len(row["pattern"].split("+"))
            n = int(1199 * row["share_train"])
            for view in ("natural", "withheld"):
                size = n if view == "natural" else 126
                half = 1.2 * unit / np.sqrt(max(size, 4) / 60)
                value = level - sign * unit * (0.25 * absent + rng.normal(0, 0.4))
                positive = max(int(size * 0.14 - 0.7), 0)
                if view == "natural" and positive == 0:
                    value = half = NAN
                by_pattern.append(
                    {"view": view, "pattern": row["pattern"], "n_absent": absent, "n": size,
                     "n_positive": float(positive), "metric": metric, "estimate": value,
                     "low": value - half, "high": value + half,
                     "small": size < 30, "weight": row[share],
                     "population": "as it came" if view == "natural" else "complete",
                     "note": "" if np.isfinite(value) else "one class only" if size else "no sample"}
                )  # fmt: skip
        for absent in range(7):
            for view in ("natural", "withheld"):
                value = level - sign * unit * 0.3 * absent
                half = unit * (0.3 + 0.2 * absent)
                by_n.append({"view": view, "n_absent": absent, "n": 420 // (absent + 1),
                             "metric": metric, "estimate": value, "low": value - half,
                             "high": value + half, "small": absent > 5})  # fmt: skip
        complete = {"metric": metric, "n": 126}
        for rate in (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.7):
            drop = unit * 2.4 * rate**1.6
            value = level - sign * drop
            degradation.append(
                {"withheld": f"k={rate * len(names):.3g}", "n_withheld": rate * len(names),
                 "rate": rate, "n": 1199, "metric": metric, "estimate": value,
                 "low": value - 0.4 * unit, "high": value + 0.4 * unit, "drop": drop,
                 "drop_low": drop - 0.2 * unit, "drop_high": drop + 0.2 * unit,
                 "small": False, "note": ""}
            )  # fmt: skip
        for name in names:
            drop = float(abs(rng.normal(0.1, 0.5)) * unit)
            degradation.append(
                {"withheld": name, "n_withheld": 1, "rate": 1 / len(names),
                 "estimate": level - sign * drop, "low": level - sign * drop - unit,
                 "high": level - sign * drop + unit, "drop": drop, "drop_low": drop - 0.3 * unit,
                 "drop_high": drop + 0.3 * unit, **complete}
            )  # fmt: skip
        for name, gap in (
            ("late", 0.1),
            ("best single modality (vitals)", 0.9),
            ("presence only", 3.0),
        ):
            baselines.append(
                {"baseline": name, "metric": metric, "n": 1199,
                 "estimate": level - sign * gap * unit, "low": level - sign * gap * unit - unit / 3,
                 "high": level - sign * gap * unit + unit / 3, "difference": sign * gap * unit,
                 "difference_low": sign * gap * unit - unit / 4,
                 "difference_high": sign * gap * unit + unit / 4}
            )  # fmt: skip
    calibration = []
    some = list(profile.patterns["pattern"][:5])
    for pattern in ["(all)", *some]:
        for b in range(10):
            predicted = (b + 0.5) / 10
            n = int((600 if pattern == "(all)" else 90) * np.exp(-b / 2.2)) + 3
            observed = float(np.clip(predicted * 0.92 + rng.normal(0, 0.3 / np.sqrt(n)), 0, 1))
            low, high = wilson(observed, n)
            calibration.append({"view": "natural", "pattern": pattern, "bin": b, "n": n,
                                "mean_predicted": predicted, "observed": observed, "low": low,
                                "high": high})  # fmt: skip
    first = metrics[0]
    everything = label(names)
    one_absent = label(names[:-1])
    declared = [
        {"requirement": f"{first} with everything present: at least 0.85", "metric": first, "view": "natural",
         "pattern": everything, "n": 126, "estimate": 0.871, "low": 0.853, "high": 0.889,
         "threshold": 0.85, "status": "met",
         "reason": "the whole interval is within the limit"},
        {"requirement": f"{first} without {names[-1]}: drop at most 0.02", "metric": first,
         "view": "withheld", "pattern": one_absent, "n": 126, "estimate": 0.012, "low": 0.001,
         "high": 0.024, "threshold": 0.02, "status": "undetermined",
         "reason": "the interval straddles the limit"},
        {"requirement": f"{first} with {names[0]}: at least 0.8", "metric": first, "view": "withheld",
         "pattern": names[0], "n": 126, "estimate": 0.671, "low": 0.612, "high": 0.728,
         "threshold": 0.80, "status": "not met",
         "reason": "the whole interval is beyond the limit"},
    ]  # fmt: skip
    return Evaluation(
        task=task,
        metrics=tuple(metrics),
        n=1199,
        n_abstained=3,
        n_boot=1000,
        headline=pd.DataFrame(headline),
        pooled=pd.DataFrame(pooled),
        by_pattern=pd.DataFrame(by_pattern),
        by_n_absent=pd.DataFrame(by_n),
        degradation=pd.DataFrame(degradation),
        baselines=pd.DataFrame(baselines),
        requirements=pd.DataFrame(
            declared if requirements else declared[:0], columns=list(declared[0])
        ),
        calibration=pd.DataFrame(
            calibration if task == "binary" else [], columns=list(calibration[0])
        ),
        uncovered=tuple(profile.patterns["pattern"][profile.patterns["unseen"]]),
        notes=("Intervals: 1,000 bootstrap replicates, stratified for AUROC.",),
    )


PROVENANCE = {
    "study": "icu-mortality",
    "seed": 0,
    "settings": {"strategy": "auto", "masking": "auto", "combiner": "mean"},
    "versions": {"fusewise": "0.1.0", "python": "3.11.9", "scikit-learn": "1.9.0"},
    "fingerprints": {"dataset": "9c1185a5c5e9fc54612808977ee8f548b2258d31", "modalities":
                     {"vitals": "b6589fc6ab0dc82cf12099d1c2d40ab994e8410c"}},
}  # fmt: skip

FINDINGS = (
    SimpleNamespace(code="FW301", title="Presence predicts the target", severity="medium",
                    detail="A model that sees only presence reaches an AUROC of 0.676."),
    SimpleNamespace(code="FW102", title="No duplicate ids", severity="passed", detail=""),
)  # fmt: skip
