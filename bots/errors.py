"""Errors of the ledger that a caller can act on; the general ones are in tradingdb.lib.errors."""

from tradingdb.lib.errors import Conflict, DomainError


class DuplicateExecution(Conflict):
    """The exchange's execution id is already in the ledger under another fill id."""

    code = "duplicate_execution"


class BotNotActive(DomainError):
    """Something that an archived bot does not get, such as a token."""

    code = "bot_not_active"
    http_status = 409
