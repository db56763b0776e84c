"""The typed HTTP client of tradingdb for bots: `Client`, `AsyncClient`, and the `Spool` for outages."""

from .aio import AsyncClient
from .answers import Ack, Flushed
from .client import Client
from .courier import Pace
from .errors import (
    ApiError,
    BotHalted,
    ClientError,
    Conflict,
    Forbidden,
    Invalid,
    NoPermit,
    NotFound,
    RateLimited,
    RiskRejected,
    ServerError,
    SpoolError,
    Unauthorized,
    Unavailable,
)
from .spool import Spool

__all__ = [
    "Ack",
    "ApiError",
    "AsyncClient",
    "BotHalted",
    "Client",
    "ClientError",
    "Conflict",
    "Flushed",
    "Forbidden",
    "Invalid",
    "NoPermit",
    "NotFound",
    "Pace",
    "RateLimited",
    "RiskRejected",
    "ServerError",
    "Spool",
    "SpoolError",
    "Unauthorized",
    "Unavailable",
]
