"""Names of metrics for people, and which way is better."""

from __future__ import annotations

_NAMES: dict[str, tuple[str, str]] = {
    "roc_auc": ("AUROC", "higher"),
    "average_precision": ("AUPRC", "higher"),
    "accuracy": ("accuracy", "higher"),
    "balanced_accuracy": ("balanced accuracy", "higher"),
    "f1": ("F1", "higher"),
    "f1_macro": ("F1 (macro)", "higher"),
    "brier_score": ("Brier score", "lower"),
    "log_loss": ("log loss", "lower"),
    "f1_weighted": ("F1 (weighted)", "higher"),
    "sensitivity": ("sensitivity", "higher"),
    "specificity": ("specificity", "higher"),
    "ppv": ("positive predictive value", "higher"),
    "npv": ("negative predictive value", "higher"),
    "net_benefit": ("net benefit", "higher"),
    "alert_rate": ("alert rate", "lower"),
    "ece": ("expected calibration error", "lower"),
    "calibration_intercept": ("calibration intercept", ""),
    "calibration_slope": ("calibration slope", ""),
    "rmse": ("RMSE", "lower"),
    "mae": ("MAE", "lower"),
    "r2": ("R²", "higher"),
}


def metric_name(metric: object) -> str:
    """Return a metric's name for people.

    Examples
    --------
    >>> metric_name("roc_auc"), metric_name("own_score")
    ('AUROC', 'own_score')
    """
    known = _NAMES.get(str(metric))
    return known[0] if known else str(metric)


def title_name(metric: object) -> str:
    """Return a metric's name as a title begins.

    Examples
    --------
    >>> title_name("log_loss"), title_name("roc_auc")
    ('Log loss', 'AUROC')
    """
    name = metric_name(metric)
    return name[:1].upper() + name[1:] if str(metric) in _NAMES else name


def spoken(requirement: object, metric: object) -> str:
    """Return a requirement that begins with its metric, with the metric's name for people.

    Examples
    --------
    >>> spoken("roc_auc without liver: drop at most 0.02", "roc_auc")
    'AUROC without liver: drop at most 0.02'
    """
    text, name = str(requirement), str(metric)
    return title_name(name) + text[len(name) :] if text.startswith(f"{name} ") else text


def better(metric: object) -> str:
    """Say which way is better, or nothing for a metric that is not known here.

    Examples
    --------
    >>> better("brier_score")
    'lower is better'
    """
    known = _NAMES.get(str(metric))
    return f"{known[1]} is better" if known and known[1] else ""
