"""A study file run stage by stage: what is done stays done until what it came from changes."""

from fusewise.study.declared import Study, read_study
from fusewise.study.running import Progress, Run, StageEvent, default_folder
from fusewise.study.training_log import TrainingLog

__all__ = ["Progress", "Run", "StageEvent", "Study", "TrainingLog", "default_folder", "read_study"]
