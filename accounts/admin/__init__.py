"""The admin of people."""

from accounts.admin import identities, users

__all__ = ["identities", "users"]
