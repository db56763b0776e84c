"""The WSGI application: Django alone, without sockets and without the lane; for tools that know nothing else."""

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tradingdb.settings.dev")
application = get_wsgi_application()

# Imported after Django is set up: it loads models.
from config_app.services.field_keys import field_keys_require  # noqa: E402

field_keys_require()
