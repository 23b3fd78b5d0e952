"""The candidates of a pilot: cheap versions of what a recommendation would train."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fusewise.exceptions import PilotError, did_you_mean
from fusewise.recommend.matrix import STRATEGIES

# One network and few epochs: a committee would cost five times as much, and longer training more.
_ONE_NETWORK = {"n_members": 1, "max_epochs": 15, "patience": 3}
CHEAP: Mapping[str, Mapping[str, Any]] = {
    "early": {},
    "intermediate": _ONE_NETWORK,
    "late": {},
    "attention": _ONE_NETWORK,
}


def check_params(params: Any) -> dict[str, dict[str, Any]]:
    """Return parameters by strategy, checked as far as can be done without the estimators."""
    if params is None:
        return {}
    if not isinstance(params, Mapping) or not all(isinstance(v, Mapping) for v in params.values()):
        raise PilotError(
            "pilot: params must be a dict of dicts, such as {'late': {'n_folds': 3}}, got "
            f"{params!r}."
        )
    for name in params:
        if name not in STRATEGIES:
            raise PilotError(
                f"pilot: params name {name!r}; there are {', '.join(STRATEGIES)}."
                f"{did_you_mean(str(name), STRATEGIES)}"
            )
    return {str(name): dict(given) for name, given in params.items()}


def make_candidate(
    strategy: str,
    task: str,
    masking: Any,
    deployment: Any,
    params: Mapping[str, Any],
    seed: int,
) -> Any:
    """Return the unfitted candidate of a strategy."""
    from fusewise import fusion

    kind = "Regressor" if task == "regression" else "Classifier"
    given = {"masking": masking, "deployment": deployment, "random_state": seed}
    estimator = getattr(fusion, f"{strategy.capitalize()}Fusion{kind}")
    known = estimator().get_params(deep=False)
    for name in params:
        if name not in known:
            raise PilotError(
                f"pilot: params of {strategy}: {name!r} is no parameter of {estimator.__name__}."
                f"{did_you_mean(str(name), known)}"
            )
    return estimator(**{**given, **CHEAP[strategy], **params})


def weakened(strategy: str, params: Mapping[str, Any]) -> bool:
    """Return whether the candidate is weaker than what would be trained by default."""
    if not CHEAP[strategy]:
        return False
    from fusewise import fusion

    full = getattr(fusion, f"{strategy.capitalize()}FusionClassifier")().get_params(deep=False)
    used = {**CHEAP[strategy], **params}
    return any(used[name] < full[name] for name in ("n_members", "max_epochs"))


def describe(strategy: str, params: Mapping[str, Any]) -> str:
    """Say what the candidate is, in words."""
    used = {**CHEAP[strategy], **params}
    set_to = ", ".join(f"{name} {value}" for name, value in used.items())
    return f"defaults with {set_to}" if used else "defaults"
