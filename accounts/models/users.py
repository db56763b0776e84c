"""The person who signs in."""

from typing import Any, ClassVar

from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.contrib.auth.models import PermissionsMixin
from django.db import models
from django.db.models.functions import Lower, Now
from django.utils import timezone
from django.utils.functional import cached_property

from accounts.choices import Role
from tradingdb.lib.fields import finite_times, named, one_of
from tradingdb.lib.json_rules import json_objects

# What each role may do with rows. An admin may do all that a page offers; a trader and a viewer see and export every
# table but these, and a trader changes what is named here. docs/admin.md has the whole matrix, and a test holds it.
ADMINS_ONLY_APPS = frozenset({"accounts", "account", "mfa", "auth", "admin", "contenttypes", "sessions"})
ADMINS_ONLY = frozenset({"bots.bottoken", "config_app.exchangeapikey"})
TRADER_CHANGES = frozenset(
    {
        "bots.change_position",
        "bots.change_trade",
        "bots.change_signal",
        "bots.change_tradereview",
        "config_app.add_strategytemplate",
        "config_app.change_strategytemplate",
        "jobs.add_jobschedule",
        "jobs.change_jobschedule",
        "notifications.add_feedback",
    }
)
READING = frozenset({"view", "export"})
# Rows that add up bots or may name any of them: nobody sees them who does not have all bots.
OVER_BOTS = frozenset(
    {
        "analytics.dataqualitycase",
        "analytics.performancesnapshot",
        "analytics.portfoliosnapshot",
        "analytics.strategyperformance",
        "analytics.systemhealthdashboard",
        "audit.auditcheck",
        "audit.change",
        "audit.commandaudit",
        "audit.invariantrun",
        "audit.systemlog",
        "audit.useraction",
        "bots.exchangeaccount",
        "bots.risklimit",
        "jobs.jobrun",
        "jobs.jobschedule",
        "notifications.broadcast",
        "notifications.deliverystatus",
        "notifications.message",
    }
)


class UserManager(BaseUserManager["User"]):
    """Creates users by e-mail address."""

    def create_user(self, email: str, password: str | None = None, **fields: Any) -> "User":
        """Create a person; the address is kept in lower case, so that one person cannot be two."""
        user = self.model(email=email.strip().lower(), **fields)
        user.set_password(password)
        user.full_clean(exclude=["password"])
        user.save(using=self._db)
        return user

    def create_superuser(self, email: str, password: str | None = None, **fields: Any) -> "User":
        """Create an admin; `manage.py createsuperuser` calls this."""
        return self.create_user(email, password, role=Role.ADMIN, **fields)

    def get_by_natural_key(self, username: str | None) -> "User":
        return self.get(email=(username or "").strip().lower())


class User(AbstractBaseUser, PermissionsMixin):
    """One person with an e-mail login and one of three roles."""

    email = models.EmailField(max_length=100, unique=True, help_text="Login name, in lower case.")
    full_name = models.CharField(max_length=150, blank=True, default="", db_default="")
    role = models.CharField(max_length=20, choices=Role, default=Role.TRADER, db_default=Role.TRADER.value)
    is_active = models.BooleanField(default=True, db_default=True, help_text="Off: no login, open sessions end.")
    has_all_bots = models.BooleanField(
        "all bots", default=True, db_default=True, help_text="Off: only the bots of the memberships. Admins have all."
    )
    metadata = models.JSONField(default=dict, blank=True, db_default={}, help_text="Free notes of the integrations.")
    created_at = models.DateTimeField(default=timezone.now, db_default=Now(), editable=False)
    updated_at = models.DateTimeField(auto_now=True, db_default=Now())

    objects = UserManager()

    USERNAME_FIELD = "email"
    REQUIRED_FIELDS: ClassVar[list[str]] = []

    class Meta:
        db_table = "users"
        ordering = ["email"]
        constraints = [
            one_of("role", Role, name="users_valid_role"),
            models.UniqueConstraint(Lower("email"), name="users_unique_email_any_case"),
            named("users_named", "email"),
            finite_times("users_finite_times", "last_login", "created_at", "updated_at"),
            json_objects("users_json_objects", "metadata"),
            # A role says what a person may do; nothing goes past it.
            models.CheckConstraint(condition=models.Q(is_superuser=False), name="users_no_superuser"),
        ]

    def __str__(self) -> str:
        return self.email

    @property
    def is_staff(self) -> bool:
        """Every active person may open the control room; the role says what they may do there."""
        return self.is_active

    @property
    def is_admin(self) -> bool:
        return self.is_active and self.role == Role.ADMIN

    @property
    def may_intervene(self) -> bool:
        """Pause bots, set halts, resolve cases, write reviews."""
        return self.is_active and self.role in (Role.ADMIN, Role.TRADER)

    @cached_property
    def _memberships(self) -> dict[str, bool]:
        """The person's bots, and whether they may act on each; read once a request."""
        return dict(self.memberships.values_list("bot_id", "may_act"))

    @property
    def visible_bots(self) -> frozenset[str] | None:
        """The bots whose rows the person sees; None for all."""
        if self.has_all_bots or self.role == Role.ADMIN:
            return None
        return frozenset(self._memberships)

    def may_see_bot(self, bot_id: str) -> bool:
        """Whether rows of this bot are the person's to see."""
        return self.visible_bots is None or bot_id in self.visible_bots

    def may_act_on(self, bot_id: str | None) -> bool:
        """Whether the person may intervene with this bot, or with None: what concerns all of them."""
        if not self.may_intervene or self.visible_bots is None:
            return self.may_intervene
        return bot_id is not None and self._memberships.get(bot_id, False)

    def has_perm(self, perm: str, obj: Any = None) -> bool:
        """Answer from the role, and for a row from its bot; `app.import_model` asks for changing by a file."""
        if not self.is_active or self.role == Role.ADMIN:
            return self.is_active
        return self._role_allows(perm) and (obj is None or self._has_bot_of(obj, perm))

    def _has_bot_of(self, row: Any, perm: str) -> bool:
        """Whether a row belongs to none of the bots, or to one the person sees and, to change it, may act on."""
        bot_id = getattr(row, "bot_id", None)
        if self.visible_bots is None or not isinstance(bot_id, str):
            return True
        is_reading = perm.partition(".")[2].partition("_")[0] in READING
        return self.may_see_bot(bot_id) if is_reading else self.may_act_on(bot_id)

    def _role_allows(self, perm: str) -> bool:
        app, _, name = perm.partition(".")
        verb, _, model = name.partition("_")
        if app in ADMINS_ONLY_APPS or f"{app}.{model}" in ADMINS_ONLY:
            # Who may come in, and with what, is the admins' business alone.
            return False
        if f"{app}.{model}" in OVER_BOTS and self.visible_bots is not None:
            return False
        if verb in READING:
            return True
        if self.role != Role.TRADER:
            return False
        if verb == "import":
            return not TRADER_CHANGES.isdisjoint({f"{app}.add_{model}", f"{app}.change_{model}"})
        return perm in TRADER_CHANGES

    def has_module_perms(self, app_label: str) -> bool:
        return self.is_active and (self.role == Role.ADMIN or app_label not in ADMINS_ONLY_APPS)
