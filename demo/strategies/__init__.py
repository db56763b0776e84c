"""The three strategies: candles in, decisions out. No network, no files, no clock."""

from demo.strategies.base import Strategy
from demo.strategies.lxalgo import LxAlgo
from demo.strategies.momentum import Momentum
from demo.strategies.shortseller import ShortSeller

__all__ = ["STRATEGIES", "Strategy"]

STRATEGIES: dict[str, type[Strategy]] = {strategy.code: strategy for strategy in (ShortSeller, Momentum, LxAlgo)}
