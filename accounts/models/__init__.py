"""Models of the accounts app, one module per aggregate."""

from accounts.models.saved_views import SavedView
from accounts.models.tokens import PersonalToken
from accounts.models.users import User

__all__ = ["PersonalToken", "SavedView", "User"]
