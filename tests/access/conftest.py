"""The house of the admin's tests, with a caller of each kind at the door."""

from tests.admin.conftest import admin, house, own_keys, trader, viewer

__all__ = ["admin", "house", "own_keys", "trader", "viewer"]
