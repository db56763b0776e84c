"""The admin of people."""

from accounts.admin import users

__all__ = ["users"]
