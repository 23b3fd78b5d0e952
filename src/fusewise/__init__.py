"""fusewise: choose, train and check multimodal predictors whose inputs will be incomplete.

>>> import fusewise as fw
>>> "MultimodalDataset" in dir(fw)
True

Names are resolved when they are first used (PEP 562), so that ``import fusewise`` costs
milliseconds and the command line can profile a folder of tables without loading a model library.

Four functions carry the name of the room that they come from: ``evaluate``, ``profile``,
``recommend`` and ``report``. ``fusewise.profile`` is always the function; the room's other names
are reached by ``from fusewise.profile import ...``.
"""

from __future__ import annotations

import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

__all__ = [
    "AttentionFusionClassifier",
    "AttentionFusionRegressor",
    "Comparison",
    "Deployment",
    "DeploymentProfile",
    "EarlyFusionClassifier",
    "EarlyFusionRegressor",
    "Evaluation",
    "IntermediateFusionClassifier",
    "IntermediateFusionRegressor",
    "LateFusionClassifier",
    "LateFusionRegressor",
    "Masking",
    "Modality",
    "MultimodalDataset",
    "Pilot",
    "PresenceOnlyClassifier",
    "PresenceOnlyRegressor",
    "Recommendation",
    "Report",
    "Study",
    "UserEncoder",
    "ampute",
    "choose_threshold",
    "compare",
    "conformalise",
    "coverage_by_pattern",
    "evaluate",
    "exceptions",
    "load",
    "make_cohort",
    "pilot",
    "profile",
    "profile_tables",
    "read_study",
    "recommend",
    "report",
    "risk_coverage",
    "split",
    "value_of_asking",
]

if TYPE_CHECKING:
    from fusewise import exceptions
    from fusewise.data import Deployment, Modality, MultimodalDataset, split
    from fusewise.evaluate import (
        Comparison,
        Evaluation,
        choose_threshold,
        compare,
        conformalise,
        coverage_by_pattern,
        evaluate,
        risk_coverage,
        value_of_asking,
    )
    from fusewise.fusion import (
        AttentionFusionClassifier,
        AttentionFusionRegressor,
        EarlyFusionClassifier,
        EarlyFusionRegressor,
        IntermediateFusionClassifier,
        IntermediateFusionRegressor,
        LateFusionClassifier,
        LateFusionRegressor,
        Masking,
        PresenceOnlyClassifier,
        PresenceOnlyRegressor,
        UserEncoder,
        load,
    )
    from fusewise.profile import DeploymentProfile, profile, profile_tables
    from fusewise.recommend import Pilot, Recommendation, pilot, recommend
    from fusewise.report import Report, report
    from fusewise.simulate import ampute, make_cohort
    from fusewise.study import Study, read_study

_ROOM_OF = {
    "AttentionFusionClassifier": "fusion",
    "AttentionFusionRegressor": "fusion",
    "Comparison": "evaluate",
    "Deployment": "data",
    "DeploymentProfile": "profile",
    "EarlyFusionClassifier": "fusion",
    "EarlyFusionRegressor": "fusion",
    "Evaluation": "evaluate",
    "IntermediateFusionClassifier": "fusion",
    "IntermediateFusionRegressor": "fusion",
    "LateFusionClassifier": "fusion",
    "LateFusionRegressor": "fusion",
    "Masking": "fusion",
    "Modality": "data",
    "MultimodalDataset": "data",
    "Pilot": "recommend",
    "PresenceOnlyClassifier": "fusion",
    "PresenceOnlyRegressor": "fusion",
    "Recommendation": "recommend",
    "Report": "report",
    "Study": "study",
    "UserEncoder": "fusion",
    "ampute": "simulate",
    "choose_threshold": "evaluate",
    "compare": "evaluate",
    "conformalise": "evaluate",
    "coverage_by_pattern": "evaluate",
    "evaluate": "evaluate",
    "load": "fusion",
    "make_cohort": "simulate",
    "pilot": "recommend",
    "profile": "profile",
    "profile_tables": "profile",
    "read_study": "study",
    "recommend": "recommend",
    "report": "report",
    "risk_coverage": "evaluate",
    "split": "data",
    "value_of_asking": "evaluate",
}


class _Package(ModuleType):
    """The type of this module: a room never hides the function of the same name.

    The import system sets every imported submodule as an attribute of its package, so that after
    ``import fusewise.profile`` (or anything that imports that room) ``fusewise.profile`` would be
    the room and no longer the function.
    """

    def __setattr__(self, name: str, value: object) -> None:
        if isinstance(value, ModuleType) and _ROOM_OF.get(name) == name:
            return
        super().__setattr__(name, value)

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        # joblib pickles the globals of a notebook's function, `fw` among them; plain modules are
        # known to it by their exact type, which this is not.
        return import_module, (self.__name__,)


sys.modules[__name__].__class__ = _Package


def __getattr__(name: str) -> Any:
    if name == "exceptions":
        return import_module("fusewise.exceptions")
    room = _ROOM_OF.get(name)
    if room is None:
        message = f"module 'fusewise' has no attribute {name!r}"
        raise AttributeError(message, name=name, obj=sys.modules[__name__])
    value = getattr(import_module(f"fusewise.{room}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*__all__, "__version__", "__doc__", "__file__", "__name__", "__path__"})
