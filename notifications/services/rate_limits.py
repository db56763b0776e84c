"""Rate limits: a bucket of tokens for each recipient and channel, kept by one statement."""

from datetime import datetime

from django.db import connection

from notifications.choices import UNLIMITED, Priority
from notifications.models import ChannelConfig

# Messages a minute where a channel has no row of its own.
PER_MINUTE = {"telegram": 30, "email": 10, "sms": 5}
PER_MINUTE_OTHERS = 60

# Whole tokens that time has put back, never more than the bucket holds; a clock that is behind takes none away.
GAINED = """
    least(floor(greatest(extract(epoch FROM %(now)s::timestamptz - r.last_refill), 0) * r.refill_rate / 60),
        r.max_tokens)::int
"""
# The first message makes the bucket. The time of a token that has only begun stays ahead of last_refill; a full
# bucket has nothing begun.
TAKE = f"""
    INSERT INTO rate_limits AS r (user_id, channel, tokens, last_refill, max_tokens, refill_rate, created_at)
    VALUES (%(user_id)s, %(channel)s, %(limit)s - 1, %(now)s, %(limit)s, %(limit)s, %(now)s)
    ON CONFLICT (user_id, channel) DO UPDATE SET
        tokens = least(r.tokens + {GAINED}, r.max_tokens) - 1,
        last_refill = CASE WHEN r.tokens + {GAINED} >= r.max_tokens THEN greatest(%(now)s, r.last_refill)
            ELSE r.last_refill + {GAINED} * interval '1 minute' / r.refill_rate END
    WHERE r.tokens + {GAINED} >= 1
    RETURNING r.tokens
"""  # noqa: S608 (no value stands in it)  # nosec B608


def take_token(*, user_id: str, channel: str, priority: Priority, now: datetime) -> bool:
    """Whether a recipient may get one more message over a channel now; takes the token if so.

    High and critical messages always may, and take none. Two who ask at once never get the same token.
    """
    if priority in UNLIMITED:
        return True
    with connection.cursor() as cursor:
        limit = _per_minute(channel)
        cursor.execute(TAKE, {"user_id": user_id, "channel": channel, "now": now, "limit": limit})
        return cursor.fetchone() is not None


def _per_minute(channel: str) -> int:
    """Return the limit that a new bucket gets."""
    kept = ChannelConfig.objects.filter(channel=channel).values_list("rate_limit_per_minute", flat=True).first()
    return kept if kept is not None else PER_MINUTE.get(channel, PER_MINUTE_OTHERS)
