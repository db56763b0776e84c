"""The one call that writes what a transaction changed into Redis and publishes it."""

import json
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, Literal, TypedDict

from bots.choices import ACTIVE_ORDER_STATUSES, OPEN_POSITION_STATUSES
from bots.ledger.shapes import wire
from bots.live import keys

Kind = Literal["position", "order", "fill", "trade", "signal", "bot", "risk", "halt", "event", "price"]

# Columns of a "bot" update that belong into each of the seed's two keys; `equity` and `daily_pnl` are its words.
STATE_FIELDS = ("status", "last_heartbeat", "started_at", "error_count", "latency_ms", "acknowledged_halt")
METRIC_FIELDS = ("current_equity", "equity", "daily_pnl", "open_positions", "total_pnl", "as_of")
# What a price moves is not among them: it would be old the next second.
SEED_POSITION = (
    "size", "side", "cost_basis", "leverage", "stop_loss", "take_profit", "opened_at", "position_id", "version",
)  # fmt: skip


class LiveUpdate(TypedDict):
    """One thing a committed transaction changed; `data` is its wire shape, of a bot the changed columns."""

    kind: Kind
    bot_id: str
    symbol: str
    data: dict[str, Any]


# ARGV: channel, message, then operations with their arguments. Every operation can be repeated without harm, and one
# that meets a key of the wrong type does not stop the others. Returns how many could not be done.
LUA = """
local failed = 0
local function call(...)
  local answer = redis.pcall(...)
  if type(answer) == 'table' and answer.err then failed = failed + 1 return false end
  return answer
end
local function decoded(text)
  if not text then return {} end
  local ok, value = pcall(cjson.decode, text)
  if ok and type(value) == 'table' then return value end
  return {}
end
local at = 3
local function take(n)
  local first = at
  at = at + n
  return unpack(ARGV, first, at - 1)
end
while at <= #ARGV do
  local op = take(1)
  if op == 'open' then
    local id, version, row, seed_key, seed, gone_key, hash, versions = take(8)
    local number = tonumber(version)
    local known = tonumber(call('HGET', versions, id) or 0) or 0
    local gone = tonumber(call('GET', gone_key) or 0) or 0
    if number > known and number > gone then
      call('HSET', hash, id, row)
      call('HSET', versions, id, version)
      call('SET', seed_key, seed)
    end
  elseif op == 'close' then
    local id, version, seed_key, gone_key, seconds, hash, versions = take(7)
    local known = tonumber(call('HGET', versions, id) or 0) or 0
    if tonumber(version) >= known then
      call('SET', gone_key, version, 'EX', seconds)
      call('HDEL', hash, id)
      call('HDEL', versions, id)
      if decoded(call('GET', seed_key)).position_id == id then call('DEL', seed_key) end
    end
  elseif op == 'newest' then
    local key, text, moment, seconds, moments, hash, field = take(7)
    local known = tonumber(call('HGET', moments, key) or 0) or 0
    if tonumber(moment) >= known then
      call('HSET', moments, key, moment)
      if seconds == '0' then call('SET', key, text) else call('SET', key, text, 'EX', seconds) end
      if hash ~= '' then call('HSET', hash, field, text) end
    end
  elseif op == 'merge' then
    local key, text = take(2)
    local row = decoded(call('GET', key))
    for name, value in pairs(decoded(text)) do row[name] = value end
    call('SET', key, cjson.encode(row))
  elseif op == 'pending' then
    local key, id, is_active, gone_key, seconds = take(5)
    if is_active == '0' then call('SET', gone_key, '1', 'EX', seconds) end
    if is_active == '0' or call('EXISTS', gone_key) == 0 then
      local kept = {}
      for _, other in ipairs(decoded(call('GET', key))) do
        if other ~= id then kept[#kept + 1] = other end
      end
      if is_active == '1' then kept[#kept + 1] = id end
      if #kept == 0 then call('SET', key, '[]') else call('SET', key, cjson.encode(kept)) end
    end
  end
end
if ARGV[2] ~= '' then redis.call('PUBLISH', ARGV[1], ARGV[2]) end
return failed
"""


def _shaped(value: Any) -> Any:
    shaped = wire(value)
    if shaped is value:
        raise TypeError(f"{type(value).__name__} cannot travel in a live update.")
    return shaped


_encoder = json.JSONEncoder(separators=(",", ":"), default=_shaped)


def encode(value: Any) -> str:
    """Return compact JSON; a Decimal or a time that was not shaped yet becomes its wire form."""
    return _encoder.encode(value)


def arguments(updates: Iterable[LiveUpdate], *, is_published: bool = True) -> list[str]:
    """Return the script's arguments for some updates, in their order."""
    messages: list[str] = []
    operations: list[str] = []
    for update in updates:
        data = encode(update["data"])
        messages.append(f'{{"kind":"{update["kind"]}","bot_id":{encode(update["bot_id"])},'
                        f'"symbol":{encode(update["symbol"])},"data":{data}}}')  # fmt: skip
        operations += _operation(update, data)
    return [keys.channel(), f"[{','.join(messages)}]" if is_published else "", *operations]


def _operation(update: LiveUpdate, encoded: str) -> list[str]:
    """Return the operations that keep the seed's keys up to date with one update."""
    data, bot_id = update["data"], update["bot_id"]
    match update["kind"]:
        case "position":
            return _position(bot_id, data, encoded)
        case "price":
            text = encode({"price": data["price"], "timestamp": data["timestamp"]})
            key, at, symbol = keys.price(data["symbol"]), moment(data["timestamp"]), data["symbol"]
            return ["newest", key, text, at, str(keys.PRICE_SECONDS), keys.moments(), keys.prices(), symbol]
        case "signal":
            key = keys.last_signal(bot_id)
            return ["newest", key, encoded, moment(data.get("timestamp")), "0", keys.moments(), "", ""]
        case "order":
            order_id = data["order_id"]
            is_active = "1" if data["status"] in ACTIVE_ORDER_STATUSES else "0"
            gone = keys.gone("order", bot_id, order_id)
            return ["pending", keys.pending_orders(bot_id), order_id, is_active, gone, str(keys.GONE_SECONDS)]
        case "bot":
            return _bot(bot_id, data)
        case _:
            return []


def _position(bot_id: str, data: Mapping[str, Any], encoded: str) -> list[str]:
    position_id, version = data["position_id"], str(data.get("version", 1))
    seed_key = keys.bot_position(bot_id, data["symbol"])
    gone = keys.gone("position", bot_id, position_id)
    if data["status"] not in OPEN_POSITION_STATUSES:
        seconds = str(keys.GONE_SECONDS)
        return ["close", position_id, version, seed_key, gone, seconds, keys.positions(), keys.versions()]
    seed = {name: data.get(name) for name in SEED_POSITION} | {"entry_price": data.get("avg_entry_price")}
    return ["open", position_id, version, encoded, seed_key, encode(seed), gone, keys.positions(), keys.versions()]


def _bot(bot_id: str, data: Mapping[str, Any]) -> list[str]:
    operations: list[str] = []
    for key, names in ((keys.bot_state(bot_id), STATE_FIELDS), (keys.bot_metrics(bot_id), METRIC_FIELDS)):
        told = {name: data[name] for name in names if name in data}
        if "current_equity" in told:
            told["equity"] = told.pop("current_equity")
        if told:
            operations += ["merge", key, encode(told)]
    return operations


def moment(value: str | None) -> str:
    """Return microseconds since 1970 of a wire time, as text; unknown counts as the beginning."""
    return str(round(datetime.fromisoformat(value).timestamp() * 1_000_000)) if value else "0"
