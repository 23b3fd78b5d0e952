"""A study file run stage by stage: what is done stays done until what it came from changes."""

from fusewise.study.declared import Study, read_study
from fusewise.study.running import Progress, Run, StageEvent, default_folder

__all__ = ["Progress", "Run", "StageEvent", "Study", "default_folder", "read_study"]
