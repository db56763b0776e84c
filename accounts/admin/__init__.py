"""The admin of people."""

from accounts.admin import access as access
from accounts.admin import identities, saved_views, users

__all__ = ["identities", "saved_views", "users"]
