"""What a sample, a modality and absence are."""

from fusewise.data import portable
from fusewise.data.dataset import MultimodalDataset
from fusewise.data.deployment import Deployment
from fusewise.data.draft import draft_choices, draft_study
from fusewise.data.engine import ENGINES, Engine, engine_of, is_spark_frame, open_engine
from fusewise.data.known_rows import KnownRows, KnownSamples, RowStatus, open_samples
from fusewise.data.modality import Modality
from fusewise.data.presence import (
    EMPTY_PATTERN,
    parse_pattern,
    pattern_codes,
    pattern_label,
    pattern_labels,
    pattern_table,
)
from fusewise.data.request_log import count_patterns
from fusewise.data.request_window import described
from fusewise.data.result import Result, write_atomically
from fusewise.data.splits import folds, inner_validation, split
from fusewise.data.study_file import StudyFile
from fusewise.data.study_yaml import read_study_file
from fusewise.data.tables import execute, open_table

__all__ = [
    "EMPTY_PATTERN",
    "ENGINES",
    "Deployment",
    "Engine",
    "KnownRows",
    "KnownSamples",
    "Modality",
    "MultimodalDataset",
    "Result",
    "RowStatus",
    "StudyFile",
    "count_patterns",
    "described",
    "draft_choices",
    "draft_study",
    "engine_of",
    "execute",
    "folds",
    "inner_validation",
    "is_spark_frame",
    "open_engine",
    "open_samples",
    "open_table",
    "parse_pattern",
    "pattern_codes",
    "pattern_label",
    "pattern_labels",
    "pattern_table",
    "portable",
    "read_study_file",
    "split",
    "write_atomically",
]
