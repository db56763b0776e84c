"""Who acts: the bot a plan works for, with what its figures need to know about it."""

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal

from bots.choices import BotStatus
from bots.ledger.risk import Limits
from bots.services.plan import Outcome, Plan, Row, Sql, drive, run
from tradingdb.lib.errors import NotFound

COLUMNS = """
    b.bot_id, b.account_id, b.exchange, b.currency, b.status, b.deployment_mode, b.strategy_name, b.initial_capital,
    b.max_positions, b.leverage_limit, b.max_daily_loss_pct, b.max_weekly_loss_pct, b.max_drawdown_pct,
    (SELECT max(c.version) FROM bot_configurations c WHERE c.bot_id = b.bot_id AND c.is_active) AS config_version
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class BotContext:
    """One bot as the plans see it, read in the transaction that writes (or just before it)."""

    bot_id: str
    account_id: int
    exchange: str
    currency: str
    status: BotStatus
    mode: str
    strategy: str
    initial_capital: Decimal
    limits: Limits
    config_version: int | None


def context_from(row: Row) -> BotContext:
    """Build the context from a row of COLUMNS."""
    return BotContext(
        bot_id=row["bot_id"],
        account_id=row["account_id"],
        exchange=row["exchange"],
        currency=row["currency"],
        status=BotStatus(row["status"]),
        mode=row["deployment_mode"],
        strategy=row["strategy_name"],
        initial_capital=row["initial_capital"],
        limits=Limits(
            max_positions=row["max_positions"],
            leverage=row["leverage_limit"],
            daily_loss=row["max_daily_loss_pct"],
            weekly_loss=row["max_weekly_loss_pct"],
            drawdown=row["max_drawdown_pct"],
        ),
        config_version=row["config_version"],
    )


def run_for(bot_id: str, make: Callable[[BotContext], Plan[Outcome]]) -> Outcome:
    """Run a plan for one bot on Django's connection, with the rights and on the rows of that bot alone.

    Raises NotFound for an unknown bot.
    """
    return run(lambda: make(bot_context(bot_id)), bot_id=bot_id)


def bot_context(bot_id: str) -> BotContext:
    """Read one bot on Django's connection. Raises NotFound."""

    def plan() -> Plan[list[Row]]:
        (rows,) = yield [Sql(f"SELECT {COLUMNS} FROM bots b WHERE b.bot_id = %(bot)s", {"bot": bot_id})]  # noqa: S608 (names come from code)  # nosec B608
        return rows

    rows = drive(plan())
    if not rows:
        raise NotFound("No such bot.", bot_id=bot_id)
    return context_from(rows[0])


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountContext:
    """One account at an exchange and the bots that trade on it. `account_id` is its key, `name` what people call it."""

    account_id: int
    name: str
    bots: tuple[str, ...]

    @property
    def bot_id(self) -> str | None:
        """The one bot that trades on it; None when there are several, or none."""
        return self.bots[0] if len(self.bots) == 1 else None


ACCOUNT = """
    SELECT a.id, a.account_id AS name, array(SELECT bot_id::text FROM bots WHERE account_id = a.id ORDER BY 1) AS bots
    FROM exchange_accounts a WHERE
"""


def read_account(*, name: str | None = None, key: int | None = None) -> Plan[AccountContext]:
    """Read one account, by what people call it or by its key. Raises NotFound."""
    where = "a.id = %(key)s" if name is None else "a.account_id = %(name)s"
    (rows,) = yield [Sql(ACCOUNT + where, {"key": key, "name": name})]
    if not rows:
        raise NotFound("No such account.", account_id=name or key)
    return AccountContext(account_id=rows[0]["id"], name=rows[0]["name"], bots=tuple(rows[0]["bots"]))
