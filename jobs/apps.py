"""Jobs that people schedule: what may run, when it is due, and what became of each run."""

from django.apps import AppConfig


class JobsConfig(AppConfig):
    name = "jobs"
    verbose_name = "Jobs"
