"""Which bots a person sees and acts on, for people who do not have all of them."""

from django.db import models
from django.db.models.functions import Now
from django.utils import timezone

from tradingdb.lib.fields import finite_times


class BotMembership(models.Model):
    """One bot that a person with some of the bots only may see, and with `may_act` act on as far as the role allows."""

    user = models.ForeignKey("accounts.User", models.PROTECT, related_name="memberships", db_index=False)
    bot = models.ForeignKey("bots.Bot", models.PROTECT, related_name="memberships", help_text="The bot that is seen.")
    may_act = models.BooleanField(
        default=False, db_default=False, help_text="A trader may also pause and halt it and change its notes."
    )
    created_at = models.DateTimeField(default=timezone.now, db_default=Now(), editable=False)

    class Meta:
        db_table = "bot_memberships"
        ordering = ["user", "bot"]
        constraints = [
            models.UniqueConstraint(fields=["user", "bot"], name="bot_memberships_unique"),
            finite_times("bot_memberships_finite_times", "created_at"),
        ]

    def __str__(self) -> str:
        return f"{self.user} {'acts on' if self.may_act else 'sees'} {self.bot_id}"
