"""Scores on the deployment's mixture, for both halves of the test, beside the Bayes posterior."""

from __future__ import annotations

from typing import Any

import numpy as np
from paired import score
from selection.posed import Array, Posed, withheld

import fusewise as fw

# Samples that a requirement is answered on at most.
N_REQUIREMENT = 10_000


def codes(data: fw.MultimodalDataset) -> np.ndarray:
    """Return the target as codes of the classes in order."""
    return np.searchsorted(np.array(data.classes), data.target)


def predicted(model: Any, data: fw.MultimodalDataset) -> Array:
    """Return probabilities; all classes alike for samples that a model cannot answer."""
    answered = model.answerable(data)
    proba = np.full((len(data), len(data.classes)), 1 / len(data.classes))
    if answered.all():
        return np.asarray(model.predict_proba(data))
    if answered.any():
        proba[answered] = model.predict_proba(data[answered])
    return proba


def halves(y: np.ndarray, proba: Array, second: np.ndarray) -> dict[str, float]:
    """Return AUROC (two classes) or accuracy on each half of the test and on all of it."""
    return {
        "first": score(y[~second], proba[~second]),
        "second": score(y[second], proba[second]),
        "all": score(y, proba),
    }


def score_all(posed: Posed, models: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return what each fitted model scores, in one pass over the test samples.

    Beside ``score`` stand ``bayes`` where it is known, ``n``, and ``requirements``: the score and
    that of the Bayes posterior with modalities withheld, on the same samples.
    """
    asked: dict[str, list[Array]] = {name: [] for name in models}
    y, second, bayes = [], [], []
    # By requirement: codes, and probabilities by model (and of the Bayes posterior, "").
    lost: list[dict[str, list[Array]]] = [
        {name: [] for name in ("y", "", *models)} for _ in posed.requirements
    ]
    for part in posed.parts():
        y.append(codes(part.data))
        second.append(part.second)
        if part.bayes is not None:
            bayes.append(part.bayes)
        for name, model in models.items():
            asked[name].append(predicted(model, part.data))
        for found, requirement in zip(lost, posed.requirements, strict=True):
            if sum(map(len, found["y"])) >= N_REQUIREMENT or part.bayes_of is None:
                continue
            without = withheld(part.data, requirement["absent"])
            if len(without) == 0:
                continue
            found["y"].append(codes(without))
            found[""].append(part.bayes_of(without))
            for name, model in models.items():
                found[name].append(predicted(model, without))
    target, mask = np.concatenate(y), np.concatenate(second)
    known = halves(target, np.concatenate(bayes), mask) if bayes else None
    return {
        name: {
            "score": halves(target, np.concatenate(asked[name]), mask),
            "bayes": known,
            "n": len(target),
            "requirements": [
                _answer(requirement, found, name)
                for requirement, found in zip(posed.requirements, lost, strict=True)
            ],
        }
        for name in models
    }


def _answer(
    requirement: dict[str, Any], found: dict[str, list[Array]], name: str
) -> dict[str, Any]:
    target = np.concatenate(found["y"])
    return {
        "absent": requirement["absent"],
        "below_bayes": requirement["below_bayes"],
        "n": len(target),
        "score": score(target, np.concatenate(found[name])),
        "bayes": score(target, np.concatenate(found[""])),
    }


def declared_requirements(posed: Posed) -> list[dict[str, Any]]:
    """Return the requirements as a user declares them: a level of AUROC or accuracy.

    The level is the Bayes posterior's score on test samples, less what the cell allows; nothing of
    any model is in it.
    """
    metric = "roc_auc" if posed.train.task == "binary" else "accuracy"
    found = []
    for requirement in posed.requirements:
        y, proba = [], []
        for part in posed.parts():
            without = withheld(part.data, requirement["absent"])
            if part.bayes_of is None or len(without) == 0:
                continue
            y.append(codes(without))
            proba.append(part.bayes_of(without))
            if sum(map(len, y)) >= N_REQUIREMENT:
                break
        level = score(np.concatenate(y), np.concatenate(proba)) - requirement["below_bayes"]
        found.append({"absent": requirement["absent"], "metric": metric, "at_least": level})
    return found
