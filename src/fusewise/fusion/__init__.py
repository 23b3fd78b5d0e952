"""One strategy per file, each with a scikit-learn face."""

from fusewise.fusion.attention import AttentionFusionClassifier, AttentionFusionRegressor
from fusewise.fusion.boosting import BoostedTreesClassifier, BoostedTreesRegressor
from fusewise.fusion.early import EarlyFusionClassifier, EarlyFusionRegressor
from fusewise.fusion.given import UserEncoder
from fusewise.fusion.intermediate import (
    IntermediateFusionClassifier,
    IntermediateFusionRegressor,
)
from fusewise.fusion.late import LateFusionClassifier, LateFusionRegressor
from fusewise.fusion.linear import LinearClassifier, LinearRegressor
from fusewise.fusion.masking import Masking, RemovalPlan, plan_removals
from fusewise.fusion.persist import load_model as load
from fusewise.fusion.persist import read_manifest, save_model
from fusewise.fusion.presence_only import PresenceOnlyClassifier, PresenceOnlyRegressor

__all__ = [
    "AttentionFusionClassifier",
    "AttentionFusionRegressor",
    "BoostedTreesClassifier",
    "BoostedTreesRegressor",
    "EarlyFusionClassifier",
    "EarlyFusionRegressor",
    "IntermediateFusionClassifier",
    "IntermediateFusionRegressor",
    "LateFusionClassifier",
    "LateFusionRegressor",
    "LinearClassifier",
    "LinearRegressor",
    "Masking",
    "PresenceOnlyClassifier",
    "PresenceOnlyRegressor",
    "RemovalPlan",
    "UserEncoder",
    "load",
    "plan_removals",
    "read_manifest",
    "save_model",
]
