"""The words of the report: each has one meaning, one sentence long."""

from __future__ import annotations

TERMS: dict[str, str] = {
    "sample": "The unit that a prediction is made for; it has an id.",
    "modality": "One named source of measurement: one table.",
    "presence": "Whether a modality was available for a sample at prediction time.",
    "absent modality": (
        "A modality without any rows for this sample. Not the same as a missing value, which is an "
        "empty cell inside a modality that is present."
    ),
    "missing value": (
        "An empty cell inside a modality that is present. Not the same as an absent modality."
    ),
    "availability pattern": (
        "The set of modalities that are present for a sample, written ehr+imaging."
    ),
    "complete case": "A sample for which all modalities are present.",
    "modality masking": (
        "A training discipline: modalities of training samples are hidden at random, so that the "
        "model has met absence before it meets it in use. Its schedule says which ones are drawn."
    ),
    "expert": "The model of one modality inside late fusion.",
    "early fusion": "The features of all modalities are joined, and one model reads them all.",
    "intermediate fusion": (
        "Each modality is turned into an embedding of equal size, and the embeddings are joined. "
        "Some libraries call this late fusion."
    ),
    "late fusion": (
        "Each modality has a model of its own, and the predictions of those present are joined."
    ),
    "attention fusion": (
        "The weight of each piece of input is learned per sample, over what is present."
    ),
    "deployment profile": (
        "Measured and declared facts about where the model will be used: how often each modality "
        "and each pattern is there, how wide the modalities are, how often they are measured."
    ),
    "degradation curve": (
        "A metric as modalities are withheld from the same samples, so that only the input changes "
        "and not who is in the group."
    ),
    "natural": (
        "Samples as they came: those that really have this pattern. They may differ from others in "
        "who they are, not only in what is known about them."
    ),
    "withheld": (
        "The same complete samples each time, with modalities taken away from them: what absence "
        "alone costs."
    ),
    "requirement": "What was declared to hold, for all samples or per pattern.",
    "shortcut": "Skill that comes from presence alone: knowing that a test was ordered.",
    "availability shift": "Pattern frequencies in use differ from those in training.",
    "finding": "One coded result of an audit.",
    "interval": (
        "The range that the true value is plausibly in, at the 95 % level; wider where there are "
        "fewer samples."
    ),
    "effective dimension": (
        "How many independent directions the columns of a modality really vary in; columns that "
        "repeat each other count once."
    ),
    "redundancy": (
        "How much of what two modalities say is the same: debiased linear CKA, 1 for the same up "
        "to a rotation and a scale, 0 for nothing in common. Slightly below 0 is chance."
    ),
    "effective n": (
        "How many equally weighted samples would give an interval as narrow, after samples were "
        "weighted to the deployment's pattern frequencies."
    ),
    "headline": (
        "The metric computed once on the deployment's mixture: test samples are weighted by how "
        "often their pattern occurs in deployment over how often it occurs in the test."
    ),
    "small cell": "A group with too few samples for a firm statement. It is shown, and marked.",
    "phi": (
        "The correlation of two presences: +1 when two modalities always come together, 0 when one "
        "says nothing about the other, \N{MINUS SIGN}1 when they exclude each other."
    ),
    "calibration": "Whether predicted probabilities come true as often as they say.",
    "paired difference": (
        "Two models compared on the same resampled samples, so that luck in the draw of samples "
        "cancels."
    ),
    "stability": (
        "The share of replicates that lead to the same recommendation, when the requests are "
        "resampled and the thresholds are moved a little."
    ),
    "cadence": "How often a modality is measured.",
}

STRATEGIES: dict[str, tuple[str, str]] = {
    "early": (
        "Early fusion",
        "joins the features of all modalities and lets one model read them all",
    ),
    "intermediate": (
        "Intermediate fusion",
        (
            "turns each modality into an embedding of equal size and joins those, so that a wide "
            "modality does not drown a narrow one"
        ),
    ),
    "late": (
        "Late fusion",
        (
            "gives each modality a model of its own and joins the predictions of those that are "
            "present, so that an absent one leaves the others as they were"
        ),
    ),
    "attention": (
        "Attention fusion",
        "learns for each sample how much each present piece of input counts, in its order in time",
    ),
}

# Which removals of modalities are drawn in training.
MASKING: dict[str, str] = {
    "deployment": "matched to deployment",
    "uniform": "uniform",
    "curriculum": "curriculum, few removals to many",
}


def strategy_name(strategy: object) -> str:
    """Return a strategy's name for people; an unknown one is shown as it came.

    Examples
    --------
    >>> strategy_name("late"), strategy_name("other")
    ('Late fusion', 'other')
    """
    known = STRATEGIES.get(str(strategy))
    return known[0] if known else str(strategy)
