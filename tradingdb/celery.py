"""The Celery application: jobs are found in each app's tasks.py, settings come from Django."""

import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tradingdb.settings.dev")
os.environ.setdefault("PROCESS_KIND", "worker")

app = Celery("tradingdb")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
