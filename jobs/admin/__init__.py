"""The admin of jobs."""

from jobs.admin import runs, schedules

__all__ = ["runs", "schedules"]
