"""Models of the jobs app, one module per aggregate."""

from jobs.models.runs import JobRun
from jobs.models.schedules import JobSchedule

__all__ = ["JobRun", "JobSchedule"]
