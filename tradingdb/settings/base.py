"""Every setting, read once from the environment; a wrong value stops the start with its name."""

from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import environ
from celery.schedules import crontab
from django.core.exceptions import ImproperlyConfigured

from tradingdb.lib.bounds import BOUNDS, SOCKET
from tradingdb.lib.db import SEARCH_PATH
from tradingdb.settings import env
from tradingdb.settings.unfold import THEME_STYLE
from tradingdb.settings.unfold import UNFOLD as UNFOLD

BASE_DIR = env.BASE_DIR
STATE_DIR: Path = (
    env.path("STATE_DIR", BASE_DIR / ".state", "folder of the embedded servers, logs and secrets") or BASE_DIR
)
PORT = env.number("PORT", 8000, "port of the web server", least=1)
HOST = env.text("HOST", "127.0.0.1", "address the web server listens on")
BASE_URL = env.text("BASE_URL", f"http://127.0.0.1:{PORT}", "address under which browsers and bots reach the server")

# --- secrets: no default in production
SECRET_KEY = env.secret_from_file("SECRET_KEY_FILE", "file with Django's secret key") or ""
# Not read here: config_app.checks looks at it, so that the commands that make and mend it can run.
FIELD_KEY_FILE = env.path(
    "FIELD_KEY_FILE", None, "file with the keys that encrypt secrets in rows; manage.py make_key_file makes it"
)
DEBUG = False
ALLOWED_HOSTS = env.listing("ALLOWED_HOSTS", ["127.0.0.1", "localhost", "[::1]"], "host names the server answers to")
if "*" in ALLOWED_HOSTS:
    raise ImproperlyConfigured("ALLOWED_HOSTS must not hold '*': it would switch off the Origin check of sockets.")
CSRF_TRUSTED_ORIGINS = env.listing("CSRF_TRUSTED_ORIGINS", [], "origins of a proxy in front, with scheme")

# --- servers
DATABASE_URL = env.text("DATABASE_URL", "", "PostgreSQL of the application; unset: the embedded server", secret=True)
BOT_DATABASE_URL = env.text(
    "BOT_DATABASE_URL",
    DATABASE_URL,
    "PostgreSQL login under which bots are served; unset: DATABASE_URL, and then row security does not bind them",
    secret=True,
)
REDIS_URL = env.text("REDIS_URL", "", "Redis or Valkey; unset: the embedded server", secret=True)
DB_POOL_SIZE = env.number("DB_POOL_SIZE", 8, "largest number of database connections of Django in one process", least=2)
LANE_POOL_SIZE = env.number("LANE_POOL_SIZE", 12, "largest number of database connections of the bot lane", least=2)
# manage.py and Celery name themselves; whatever else loads the settings gets the strictest bounds.
PROCESS_KIND = env.one_of("PROCESS_KIND", "web", tuple(BOUNDS), "whose bounds connections to PostgreSQL have")
PGBOUNCER = env.switch(
    "PGBOUNCER", False, "whether DATABASE_URL leads through PgBouncer: the login roles then keep the bounds"
)
LANE_PREPARES = env.switch(
    "LANE_PREPARES", not PGBOUNCER, "whether the lane prepares its statements; only a PgBouncer of 1.22 or newer can"
)


def startup_options(kind: str) -> str:
    """Return what a connection of this kind of process tells PostgreSQL when it begins."""
    told = {"search_path": ",".join(SEARCH_PATH), "timezone": "UTC", "application_name": f"tradingdb-{kind}"}
    if kind == "command":
        # On a full disk a person's command may write: it makes room.
        told["default_transaction_read_only"] = "off"
    return " ".join([*(f"-c {name}={value}" for name, value in told.items()), BOUNDS[kind].options()])


def _database(url: str) -> dict[str, Any]:
    config: dict[str, Any] = dict(environ.Env.db_url_config(url or "postgres://127.0.0.1:1/not-configured"))
    config.update(
        ENGINE="tradingdb.db_backend",
        CONN_MAX_AGE=0,
        ATOMIC_REQUESTS=False,
        DISABLE_SERVER_SIDE_CURSORS=PGBOUNCER,
        OPTIONS={
            **SOCKET,
            **({} if PGBOUNCER else {"options": startup_options(PROCESS_KIND)}),
            "pool": {"min_size": 0, "max_size": DB_POOL_SIZE, "timeout": 2.0, "reconnect_timeout": 2.0},
        },
    )
    return config


DATABASES = {"default": _database(DATABASE_URL)}
# The login under which bots are served; without a NAME of its own it goes to Django's database, in tests too.
BOT_DATABASE: dict[str, Any] = dict(
    environ.Env.db_url_config(BOT_DATABASE_URL or "postgres://127.0.0.1:1/not-configured")
)
if BOT_DATABASE["NAME"] == DATABASES["default"]["NAME"]:
    del BOT_DATABASE["NAME"]
# None where bots have no login of their own: then row security does not bind them.
BOT_ROLE: str | None = BOT_DATABASE["USER"] if BOT_DATABASE["USER"] != DATABASES["default"]["USER"] else None
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

CACHES = {
    "default": {
        "BACKEND": "django_redis.cache.RedisCache",
        "LOCATION": REDIS_URL or "redis://127.0.0.1:1/0",
        "KEY_PREFIX": "cache",
        "OPTIONS": {"SOCKET_CONNECT_TIMEOUT": 0.25, "SOCKET_TIMEOUT": 0.5},
    }
}
REDIS_PREFIX = env.text(
    "REDIS_PREFIX", "", "put before every live key and channel, so that two instances share a server"
)
CHANNEL_LAYERS = {
    "default": {
        # The core layer closes idle sockets with redis-py 8 and never recovers from a Redis restart.
        "BACKEND": "channels_redis.pubsub.RedisPubSubChannelLayer",
        "CONFIG": {"hosts": [REDIS_URL or "redis://127.0.0.1:1/0"], "prefix": f"{REDIS_PREFIX}channels"},
    }
}

# --- applications
INSTALLED_APPS = [
    "unfold",
    "unfold.contrib.filters",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.postgres",
    "django.contrib.humanize",
    "channels",
    "csp",
    "allauth",
    "allauth.account",
    "allauth.mfa",
    "tradingdb",
    "accounts",
    "audit",
    "notifications",
    "config_app",
    "marketdata",
    "bots",
    "analytics",
    "jobs",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "servestatic.middleware.ServeStaticMiddleware",
    "tradingdb.lib.http.RequestIdMiddleware",
    "csp.middleware.CSPMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "accounts.middleware.PeopleMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
ROOT_URLCONF = "tradingdb.urls"
ASGI_APPLICATION = "tradingdb.asgi.application"
WSGI_APPLICATION = "tradingdb.wsgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]

# --- people
AUTH_USER_MODEL = "accounts.User"
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 12}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {
        "NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator",
        "OPTIONS": {"user_attributes": ("email", "full_name")},
    },
    {"NAME": "accounts.passwords.HouseWordsValidator"},
]
PASSWORD_HASHERS = ["django.contrib.auth.hashers.Argon2PasswordHasher"]
# What the admin's base classes call to record what a person did.
ACTION_RECORDER = "audit.services.actions.record_action"
# What they call to read the history of a row.
HISTORY_READER = "audit.trail.history.history_of"
# What they call before something grave: it raises unless the person just proved to be there.
FRESHNESS = "accounts.services.reauthentication.require_fresh"
LOGIN_URL = "account_login"
LOGIN_REDIRECT_URL = "dashboard"
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
SESSION_ENGINE = "accounts.session_store"
SESSION_IDLE_MINUTES = env.number(
    "SESSION_IDLE_MINUTES", 30, "minutes without a sign of the person after which a session ends", least=1
)
SESSION_HOURS = env.number("SESSION_HOURS", 12, "hours after which a session ends in any case", least=1)
SESSION_COOKIE_AGE = SESSION_HOURS * 3600
MFA_REQUIRED = env.switch(
    "MFA_REQUIRED", False, "whether everyone needs a second factor; always on with the settings of production"
)
EXPORT_FREELY_ROWS = env.number(
    "EXPORT_FREELY_ROWS", 10_000, "rows of a whole table up to which an export needs no confirmation", least=0
)
CSRF_COOKIE_SAMESITE = "Lax"
CSRF_FAILURE_VIEW = "tradingdb.lib.error_pages.forged"
# django-allauth: sign-in, second factors. Its own rate limits are off, for accounts.services.attempts has ours: they
# would lock the admin out with the attacker, and fail without Redis.
ACCOUNT_ADAPTER = "accounts.adapters.AccountAdapter"
ACCOUNT_LOGIN_METHODS = {"email"}
ACCOUNT_SIGNUP_FIELDS = ["email*", "password1*"]
ACCOUNT_USER_MODEL_USERNAME_FIELD = None
ACCOUNT_EMAIL_VERIFICATION = "none"
ACCOUNT_SESSION_REMEMBER = False
ACCOUNT_PREVENT_ENUMERATION = True
ACCOUNT_LOGOUT_REDIRECT_URL = "account_login"
ACCOUNT_RATE_LIMITS = False
ACCOUNT_FORMS = {"login": "accounts.forms.LoginForm"}
MFA_ADAPTER = "accounts.adapters.MFAAdapter"
MFA_SUPPORTED_TYPES = ["totp", "webauthn", "recovery_codes"]
MFA_PASSKEY_LOGIN_ENABLED = True
MFA_WEBAUTHN_USER_VERIFICATION = "required"
MFA_RATE_LIMITS = False
MFA_TOTP_ISSUER = "tradingdb"
MFA_TOTP_TOLERANCE = 1
MFA_ALLOW_UNVERIFIED_EMAIL = True
MFA_RECOVERY_CODES_SHOW_ONCE = True
MFA_FORMS = {
    "authenticate": "accounts.forms.AuthenticateForm",
    "activate_totp": "accounts.forms.ActivateTOTPForm",
}
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
# No inline script and no inline style, but for the colours that the admin's theme writes into its pages, word for word.
# Without npm (see STATICFILES_DIRS) the admin's own Alpine runs, which evaluates text; pages of ours never allow it.
CONTENT_SECURITY_POLICY: dict[str, Any] = {
    "DIRECTIVES": {
        "default-src": ["'none'"],
        "script-src": ["'self'"],
        "style-src": ["'self'", THEME_STYLE],
        "img-src": ["'self'", "data:"],
        "font-src": ["'self'"],
        "connect-src": ["'self'"],
        "frame-ancestors": ["'none'"],
        "base-uri": ["'none'"],
        "form-action": ["'self'"],
    }
}

# --- the audit trail
AUDIT_KEY_FILE = env.private_file(
    "AUDIT_KEY_FILE", "file with the key that signs the audit trail's seals: 32 bytes in base64, never in the database"
)
AUDIT_PUBLIC_KEYS = env.listing(
    "AUDIT_PUBLIC_KEYS", [], "public keys, in hexadecimal, whose seals are believed beside those of AUDIT_KEY_FILE"
)
AUDIT_ANCHOR_DIR: Path = (
    env.path("AUDIT_ANCHOR_DIR", STATE_DIR / "anchors", "folder in which the newest seal is written down each minute")
    or STATE_DIR
)
AUDIT_ANCHOR_COPIES = env.listing("AUDIT_ANCHOR_COPIES", [], "more folders for the same, on other volumes")
AUDIT_ANCHOR_COMMAND = env.listing(
    "AUDIT_ANCHOR_COMMAND", [], "program and arguments, with commas, that get each anchor as a line on standard input"
)

# --- time and language: UTC everywhere
USE_TZ = True
TIME_ZONE = "UTC"
USE_I18N = False
LANGUAGE_CODE = "en-us"
DATETIME_FORMAT = "Y-m-d H:i:s\\Z"
DATE_FORMAT = "Y-m-d"

# --- static files
STATIC_URL = "/static/"
STATIC_ROOT = STATE_DIR / "staticfiles"
STATICFILES_DIRS: list[Any] = [BASE_DIR / "static"]
_NODE_MODULES = BASE_DIR / "node_modules"
for _prefix, _folder in {
    "npm/lightweight-charts": _NODE_MODULES / "lightweight-charts" / "dist",
    "npm/uplot": _NODE_MODULES / "uplot" / "dist",
    # In the place of Unfold's own Alpine: the build that evaluates no text.
    "unfold/js/alpine": _NODE_MODULES / ".alpine",
}.items():
    if _folder.is_dir():
        STATICFILES_DIRS.append((_prefix, _folder))
if not (_NODE_MODULES / ".alpine").is_dir():
    CONTENT_SECURITY_POLICY["DIRECTIVES"]["script-src"].append("'unsafe-eval'")
SERVESTATIC_USE_FINDERS = True
SERVESTATIC_AUTOREFRESH = False

# --- the bot API
RATE_LIMIT_FACTS_PER_MINUTE = env.number(
    "RATE_LIMIT_FACTS_PER_MINUTE", 6000, "facts a bot may report a minute", least=1
)
RATE_LIMIT_COMMANDS_PER_MINUTE = env.number(
    "RATE_LIMIT_COMMANDS_PER_MINUTE", 600, "commands (order requests) a bot may send a minute", least=1
)
RATE_LIMIT_READS_PER_MINUTE = env.number("RATE_LIMIT_READS_PER_MINUTE", 1200, "reads a bot may make a minute", least=1)
RELEASE_NEEDS_SECOND_PERSON = env.switch(
    "RELEASE_NEEDS_SECOND_PERSON", False, "whether a halt must be released by somebody else than who set it"
)
# The largest body of any call; each call has its own limit below it.
DATA_UPLOAD_MAX_MEMORY_SIZE = 16 * 1024 * 1024
PERMIT_SECONDS = env.number("PERMIT_SECONDS", 15, "how long a permit to trade is valid", least=1)
HEARTBEAT_LATE_SECONDS = env.number(
    "HEARTBEAT_LATE_SECONDS", 30, "heartbeat age at which a bot counts as late", least=1
)
HEARTBEAT_DOWN_SECONDS = env.number(
    "HEARTBEAT_DOWN_SECONDS", 120, "heartbeat age at which a bot counts as down", least=1
)

# --- limits
CORRELATION_DAYS = env.number(
    "CORRELATION_DAYS", 60, "daily returns from which symbols that move together are worked out", least=20
)
CORRELATION_LEAST = (
    env.number(
        "CORRELATION_LEAST_PERCENT", 80, "correlation from which symbols count as one, in percent, either sign", least=1
    )
    / 100
)

# --- live
LIVE_MAX_MESSAGES_PER_SECOND = env.number(
    "LIVE_MAX_MESSAGES_PER_SECOND", 60, "most messages a browser gets a second; changes are coalesced", least=1
)

# --- jobs
CELERY_BROKER_URL = REDIS_URL or "redis://127.0.0.1:1/0"
CELERY_BROKER_TRANSPORT_OPTIONS = {"visibility_timeout": 60, "global_keyprefix": f"{REDIS_PREFIX}celery:"}
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_REJECT_ON_WORKER_LOST = True
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_TIME_LIMIT = 300
CELERY_TASK_SOFT_TIME_LIMIT = 240
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_ACCEPT_CONTENT = ["json"]
CELERY_TASK_SERIALIZER = "json"
CELERY_TIMEZONE = "UTC"
CELERY_ENABLE_UTC = True
# A long job whose broker connection broke would run on beside its redelivery.
CELERY_WORKER_CANCEL_LONG_RUNNING_TASKS_ON_CONNECTION_LOSS = True
CELERY_BEAT_SCHEDULER = "tradingdb.beat:SingleScheduler"
# Jobs that wait for a worker longer than `expires` seconds are dropped: the next one does the same work.
CELERY_BEAT_SCHEDULE = {
    "mark positions": {"task": "bots.tasks.mark_positions", "schedule": 5.0, "options": {"expires": 5}},
    "repair live": {"task": "bots.tasks.repair_live", "schedule": 10.0, "options": {"expires": 10}},
    "watch limits": {"task": "bots.tasks.watch_limits", "schedule": 10.0, "options": {"expires": 10}},
    "watch portfolio": {"task": "analytics.tasks.watch_portfolio", "schedule": 30.0, "options": {"expires": 30}},
    "refresh risk groups": {
        "task": "analytics.tasks.refresh_risk_groups",
        "schedule": crontab(hour="0", minute="20"),
        "options": {"expires": 3600},
    },
    "watch heartbeats": {"task": "bots.tasks.watch_heartbeats", "schedule": 10.0, "options": {"expires": 10}},
    "sweep invariants": {"task": "bots.tasks.sweep_invariants", "schedule": 60.0, "options": {"expires": 60}},
    "rebuild unsound": {"task": "bots.tasks.rebuild_unsound", "schedule": 15.0, "options": {"expires": 15}},
    "verify invariants": {
        "task": "bots.tasks.verify_invariants",
        "schedule": crontab(hour="3", minute="10"),
        "options": {"expires": 3600},
    },
    "settle inbox": {"task": "bots.tasks.settle_inbox", "schedule": 60.0, "options": {"expires": 60}},
    "record system metrics": {
        "task": "audit.tasks.record_system_metrics",
        "schedule": crontab(),
        "options": {"expires": 60},
    },
    "verify new audit": {"task": "audit.tasks.verify_new_audit", "schedule": 300.0, "options": {"expires": 300}},
    "verify audit": {
        "task": "audit.tasks.verify_audit",
        "schedule": crontab(hour="3", minute="40"),
        "options": {"expires": 3600},
    },
    "check health": {"task": "audit.tasks.check_health", "schedule": 60.0, "options": {"expires": 60}},
    "take portfolio snapshot": {
        "task": "analytics.tasks.take_portfolio_snapshot",
        "schedule": crontab(minute="*/5"),
        "options": {"expires": 300},
    },
    "refresh stale risk metrics": {
        "task": "analytics.tasks.refresh_stale_risk_metrics",
        "schedule": 60.0,
        "options": {"expires": 60},
    },
    "compute daily risk metrics": {
        "task": "analytics.tasks.compute_daily_risk_metrics",
        "schedule": crontab(hour="0", minute="1"),
    },
    "refresh views of the moment": {
        "task": "analytics.tasks.refresh_views",
        "args": [["active_positions_summary", "system_health_dashboard"]],
        "schedule": 60.0,
        "options": {"expires": 60},
    },
    "refresh views of days": {
        "task": "analytics.tasks.refresh_views",
        "args": [["daily_performance_summary", "daily_ohlcv"]],
        "schedule": crontab(minute="*/5"),
        "options": {"expires": 300},
    },
    "maintain time series": {
        "task": "analytics.tasks.maintain_series",
        "schedule": crontab(minute="10"),
        "options": {"expires": 3600},
    },
    "dispatch jobs": {"task": "jobs.tasks.dispatch_jobs", "schedule": 15.0, "options": {"expires": 15}},
    "remove ended sessions": {"task": "accounts.tasks.remove_ended_sessions", "schedule": crontab(minute="50")},
    "remove old job runs": {"task": "jobs.tasks.remove_old_runs", "schedule": crontab(hour="2", minute="20")},
    "remove old invariant runs": {
        "task": "audit.tasks.remove_old_invariant_runs",
        "schedule": crontab(hour="2", minute="40"),
    },
    "remove old messages": {
        "task": "notifications.tasks.remove_old_messages",
        "schedule": crontab(hour="2", minute="30"),
    },
}

# --- logs: one line each, on stderr; the supervisor writes them to files
LOG_LEVEL = env.text("LOG_LEVEL", "INFO", "lowest level that is logged")
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "line": {
            "format": "{asctime}Z {levelname} {name} {message}",
            "style": "{",
            "()": "tradingdb.lib.logs.UtcFormatter",
        }
    },
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["console"], "level": LOG_LEVEL},
    "loggers": {
        "django.server": {"handlers": ["console"], "level": LOG_LEVEL, "propagate": False},
        "uvicorn": {"handlers": [], "level": LOG_LEVEL, "propagate": True},
        # A line a request says nothing that the counters do not.
        "uvicorn.access": {"handlers": [], "level": "WARNING", "propagate": False},
    },
}


def redis_location() -> str:
    """Return host:port of REDIS_URL for messages, without its password."""
    parts = urlsplit(REDIS_URL)
    return f"{parts.hostname}:{parts.port}"
