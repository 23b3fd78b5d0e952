"""Names of metrics for people, and which way is better."""

from __future__ import annotations

_NAMES: dict[str, tuple[str, str]] = {
    "roc_auc": ("AUROC", "higher"),
    "roc_auc_ovr": ("AUROC (one against rest)", "higher"),
    "roc_auc_ovo": ("AUROC (one against one)", "higher"),
    "roc_auc_ovr_weighted": ("AUROC (one against rest, weighted)", "higher"),
    "average_precision": ("AUPRC", "higher"),
    "accuracy": ("Accuracy", "higher"),
    "balanced_accuracy": ("Balanced accuracy", "higher"),
    "f1": ("F1", "higher"),
    "f1_macro": ("F1 (macro)", "higher"),
    "f1_weighted": ("F1 (weighted)", "higher"),
    "precision": ("Precision", "higher"),
    "recall": ("Recall", "higher"),
    "matthews_corrcoef": ("Matthews correlation", "higher"),
    "top_k_accuracy": ("Top-k accuracy", "higher"),
    "brier_score": ("Brier score", "lower"),
    "log_loss": ("Log loss", "lower"),
    "expected_calibration_error": ("Calibration error", "lower"),
    "r2": ("R²", "higher"),
    "explained_variance": ("Explained variance", "higher"),
    "spearman": ("Spearman correlation", "higher"),
    "pearson": ("Pearson correlation", "higher"),
    "mean_absolute_error": ("Mean absolute error", "lower"),
    "median_absolute_error": ("Median absolute error", "lower"),
    "mean_squared_error": ("Mean squared error", "lower"),
    "root_mean_squared_error": ("Root mean squared error", "lower"),
    "mean_absolute_percentage_error": ("Mean absolute percentage error", "lower"),
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


def better(metric: object) -> str:
    """Say which way is better, or nothing for a metric that is not known here.

    Examples
    --------
    >>> better("brier_score")
    'lower is better'
    """
    known = _NAMES.get(str(metric))
    return f"{known[1]} is better" if known else ""
