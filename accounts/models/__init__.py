"""Models of the accounts app, one module per aggregate."""

from accounts.models.identities import AuthIdentity
from accounts.models.memberships import BotMembership
from accounts.models.saved_views import SavedView
from accounts.models.sessions import Session
from accounts.models.tokens import PersonalToken
from accounts.models.users import User
from accounts.models.verification import VerificationCode

__all__ = ["AuthIdentity", "BotMembership", "PersonalToken", "SavedView", "Session", "User", "VerificationCode"]
