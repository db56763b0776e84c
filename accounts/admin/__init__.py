"""The admin of people."""

from accounts.admin import saved_views, users

__all__ = ["saved_views", "users"]
