"""Laws about the estimator's face: 6 (scikit-learn), 8 (files) and 10 (construction)."""

from __future__ import annotations

import inspect
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.base import clone, is_classifier
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import (
    StackingClassifier,
    StackingRegressor,
    VotingClassifier,
    VotingRegressor,
)
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import GridSearchCV, cross_validate
from sklearn.pipeline import Pipeline

from fusewise.fusion import load, read_manifest, save_model
from fusewise.testing.trial import Trial
from fusewise.testing.violation import (
    LawViolation,
    expecting,
    fitted,
    fresh,
    outputs,
    require,
    require_same_bits,
)


def law_06_fit_forgets_and_sklearn_works(trial: Trial) -> None:
    """``fit`` forgets the past; ``clone``, parameters and scikit-learn's tools work."""
    _try_parameters(trial)
    _try_refit(trial)
    _try_given_target(trial)
    _try_tools(trial)


def law_08_saved_and_loaded_is_equal(trial: Trial) -> None:
    """A model that went through a file predicts the same bits and has the same parameters.

    ``save(path)`` of the estimator is used where it has one, and :func:`fusewise.load` with the
    types that the file names.
    """
    law = 8
    train, test = trial.pair
    model = fitted(law, trial.estimator, train)
    with tempfile.TemporaryDirectory() as folder, expecting(law, model, "to be saved and loaded"):
        path = Path(folder) / "model.fusewise"
        model.save(path) if hasattr(model, "save") else save_model(model, path)
        loaded = load(path, trusted=read_manifest(path)["types"])
    require(type(loaded) is type(model), law, model, "the same class", type(loaded).__name__)
    a, b = (sorted(m.get_params(deep=False)) for m in (model, loaded))
    require(a == b, law, model, f"the parameters {a}", f"{b}")
    before, after = outputs(law, model, test), outputs(law, loaded, test, "the loaded model")
    require_same_bits(law, model, before, after, "the same bits from the loaded model")


def law_10_init_only_stores(trial: Trial) -> None:
    """``__init__`` stores its parameters as they are and does nothing else; ``fit`` validates."""
    law, estimator = 10, trial.estimator
    signature = inspect.signature(type(estimator).__init__).parameters.values()
    loose = [p.name for p in signature if p.kind in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]
    require(not loose, law, estimator, "named parameters only", f"{loose}")
    sentinels = {name: _Anything() for name in estimator.get_params(deep=False)}
    with expecting(law, estimator, "__init__ to accept anything, as fit validates"):
        built = type(estimator)(**sentinels)
    stored = vars(built)
    for name, value in sentinels.items():
        same = stored.get(name) is value
        require(same, law, built, f"parameter {name} stored as it is", f"{stored.get(name)!r:.80}")
    further = sorted(set(stored) - set(sentinels))
    require(not further, law, built, "no attribute but the parameters", f"{further}")
    train, _ = trial.pair
    _require_error(law, estimator, np.ones((10, 2)), np.arange(10) % 2, "an array of numbers")
    _require_error(
        law, estimator, train, np.asarray(train.target)[:-1], "a target that is too short"
    )
    model = fresh(estimator)
    before = model.get_params(deep=False)
    with expecting(law, model, "fit to accept the training samples"):
        model.fit(train)
    after = model.get_params(deep=False)
    changed = [name for name in before if after[name] is not before[name]]
    require(not changed, law, model, "parameters that fit leaves alone", f"{changed} replaced")


class _Anything:
    """A value that no estimator can know, equal only to itself."""


def _require_error(law: int, estimator: Any, X: Any, y: Any, what: str) -> None:
    try:
        fresh(estimator).fit(X, y)
    except (TypeError, ValueError):
        return
    except Exception as error:
        raise LawViolation(law, estimator, f"ValueError or TypeError from fit with {what}", f"{type(error).__name__}: {error}") from error  # fmt: skip
    raise LawViolation(law, estimator, f"ValueError or TypeError from fit with {what}", "no error")


def _try_parameters(trial: Trial) -> None:
    law, estimator = 6, trial.estimator
    with expecting(law, estimator, "clone to work"):
        copy = clone(estimator)
    shallow = estimator.get_params(deep=False)
    with expecting(law, estimator, "set_params to take what get_params gives"):
        returned = copy.set_params(**shallow)
    require(
        returned is copy, law, estimator, "set_params to return self", f"{type(returned).__name__}"
    )
    again = copy.get_params(deep=False)
    lost = [name for name in shallow if again.get(name) is not shallow[name]]
    require(not lost, law, estimator, "set_params to set what it is given", f"{lost} differ")
    train, test = trial.pair
    model = fresh(estimator)
    try:
        model.predict(test)
    except NotFittedError:
        pass
    except Exception as error:
        raise LawViolation(law, model, "NotFittedError before fit", f"{type(error).__name__}: {error}") from error  # fmt: skip
    else:
        raise LawViolation(law, model, "NotFittedError before fit", "predictions")
    with expecting(law, model, "fit to accept the training samples"):
        returned = model.fit(train)
    require(returned is model, law, model, "fit to return self", f"{type(returned).__name__}")
    left = [name for name in vars(clone(model)) if _is_fitted_name(name)]
    require(not left, law, model, "clone to leave fitted attributes behind", f"{left}")


def _try_refit(trial: Trial) -> None:
    """Fit on one dataset, then on a smaller one without a modality: nothing of the first stays."""
    law = 6
    train, test = trial.pair
    smaller = train[: max(20, 2 * len(train) // 3)]
    names = trial.taught()
    if len(names) > 1:
        smaller = trial.lacking(smaller, names[0])[-1]
    asked = trial.lacking(test, names[0])[-1] if len(names) > 1 else test
    asked = asked[asked.presence[:, [m in names for m in asked.modalities]].any(axis=1)]
    refitted = fitted(law, trial.estimator, train)
    with expecting(law, refitted, "a second fit to work"):
        refitted.fit(smaller)
    once = fitted(law, trial.estimator, smaller)
    a, b = ({n for n in vars(m) if _is_fitted_name(n)} for m in (refitted, once))
    require(a == b, law, once, "a second fit to forget the first", f"{sorted(a ^ b)} of only one")
    first, second = outputs(law, refitted, asked), outputs(law, once, asked)
    require_same_bits(law, once, first, second, "a second fit to forget the first")


def _try_given_target(trial: Trial) -> None:
    """The y that is given counts, and not the dataset's own target."""
    law = 6
    train, test = trial.pair
    y = np.asarray(train.target)
    y = (
        np.array([f"class {v}" for v in y], dtype=object)
        if is_classifier(trial.estimator)
        else y + 1000
    )
    model = fresh(trial.estimator)
    with expecting(law, model, "fit to accept a given y"):
        model.fit(train, y)
    predicted = outputs(law, model, test)["predict"]
    if is_classifier(model):
        followed = set(predicted.tolist()) <= set(y.tolist())
    else:
        followed = bool(predicted.mean() > y.mean() - 500)
    require(followed, law, model, "predictions of the y that was given", f"{predicted[:3]}")


def _try_tools(trial: Trial) -> None:
    law, estimator = 6, fresh(trial.estimator)
    train, test = trial.pair
    y = np.asarray(train.target)
    # Folds may leave a rare modality without training samples: what is asked is answerable.
    usual = train.presence[:, [m in trial.taught() for m in train.modalities]].any(axis=1)
    train, y = train[usual], y[usual]
    with expecting(law, estimator, "cross_validate to work"):
        scores = cross_validate(estimator, train, y, cv=2, error_score="raise")["test_score"]
    require(bool(np.isfinite(scores).all()), law, estimator, "finite scores", f"{scores}")
    name, value = next(iter(sorted(_scalars(estimator).items())), (None, None))
    if name is not None:
        with expecting(law, estimator, f"GridSearchCV over {name} to work"):
            search = GridSearchCV(estimator, {name: [value]}, cv=2, error_score="raise")
            search.fit(train, y)
            search.predict(test)
    for tool in _tools(estimator):
        label = type(tool).__name__
        with expecting(law, estimator, f"{label} to work"):
            predicted = np.asarray(tool.fit(train, y).predict(test))
        n = len(test)
        require(
            len(predicted) == n, law, estimator, f"{n} predictions of {label}", f"{len(predicted)}"
        )
        plausible = predicted.dtype.kind != "f" or bool(np.isfinite(predicted).all())
        require(plausible, law, estimator, f"finite predictions of {label}", "NaN or infinity")


def _tools(estimator: Any) -> list[Any]:
    one, two = ("one", clone(estimator)), ("two", clone(estimator))
    pipeline = Pipeline([("fusion", clone(estimator))])
    if not is_classifier(estimator):
        return [
            pipeline,
            VotingRegressor([one, two]),
            StackingRegressor([one], final_estimator=Ridge(), cv=2),
        ]
    tools: list[Any] = [
        pipeline,
        VotingClassifier([one, two], voting="hard"),
        StackingClassifier([one], final_estimator=LogisticRegression(), cv=2),
    ]
    if hasattr(estimator, "predict_proba") or hasattr(estimator, "decision_function"):
        tools.append(CalibratedClassifierCV(clone(estimator), cv=2))
    return tools


def _scalars(estimator: Any) -> dict[str, Any]:
    """Return the parameters that a grid can hold."""
    values = estimator.get_params(deep=False)
    return {n: v for n, v in values.items() if v is None or isinstance(v, str | int | float)}


def _is_fitted_name(name: str) -> bool:
    return name.endswith("_") and not name.startswith("_")
