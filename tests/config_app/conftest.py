"""Key files of single tests."""

from pathlib import Path
from typing import Any

import pytest

from tradingdb.lib.keyring import new_keyring, store


@pytest.fixture
def key_file(tmp_path: Path, settings: Any) -> Path:
    """A key file with one version, which this test may change."""
    path = tmp_path / "field_keys"
    store(path, new_keyring())
    settings.FIELD_KEY_FILE = path
    return path
