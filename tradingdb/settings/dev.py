"""Settings of `make run` and `make up`: the embedded servers on this machine."""

from tradingdb.settings.base import *  # noqa: F403
from tradingdb.settings.base import FIELD_KEY_FILE, SECRET_KEY, STATE_DIR

if not SECRET_KEY:
    _key_file = STATE_DIR / "secrets" / "django_secret_key"
    # A command that needs no server (makemigrations, show_settings) runs before the first start as well.
    SECRET_KEY = _key_file.read_text().strip() if _key_file.is_file() else "no-instance-yet-" + "0" * 50
if FIELD_KEY_FILE is None and (STATE_DIR / "secrets" / "field_keys").is_file():
    FIELD_KEY_FILE = STATE_DIR / "secrets" / "field_keys"
