"""The way to write, from Python: each service is one thing that can happen, and owns its transaction.

Scripts call `tradingdb.setup()` first. The async forms have a leading `a`.
"""

from bots.services.balances import balance_record
from bots.services.events import events_record
from bots.services.fills import order_add_fill
from bots.services.heartbeats import bot_record_heartbeat
from bots.services.orders import order_apply_news, order_place
from bots.services.signals import signal_record
from tradingdb.lib.twins import async_twin

aorder_place = async_twin(order_place)
aorder_apply_news = async_twin(order_apply_news)
aorder_add_fill = async_twin(order_add_fill)
abalance_record = async_twin(balance_record)
aevents_record = async_twin(events_record)
asignal_record = async_twin(signal_record)
abot_record_heartbeat = async_twin(bot_record_heartbeat)

__all__ = [
    "abalance_record",
    "abot_record_heartbeat",
    "aevents_record",
    "aorder_add_fill",
    "aorder_apply_news",
    "aorder_place",
    "asignal_record",
    "balance_record",
    "bot_record_heartbeat",
    "events_record",
    "order_add_fill",
    "order_apply_news",
    "order_place",
    "signal_record",
]
