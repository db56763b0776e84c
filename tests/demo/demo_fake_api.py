"""A tiny tradingdb over HTTP for the demo's tests: it keeps what it is sent and folds fills with fractions."""

import csv
import io
import json
import threading
from collections import Counter
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

COLUMNS = ["timestamp", "open", "high", "low", "close", "volume"]


def text(value: Fraction) -> str:
    """A fraction as 18 decimals."""
    scaled = round(value * 10**18)
    sign, digits = "-" if scaled < 0 else "", str(abs(scaled)).rjust(19, "0")
    return f"{sign}{digits[:-18]}.{digits[-18:]}"


def now_text(**ahead: float) -> str:
    return (datetime.now(UTC) + timedelta(**ahead)).isoformat()


class FakeApi:
    """The server. `is_down` answers 503 to everything; `state` is the permit's; `refuses` rejects order requests.

    `at_exit` closes what the tests opened to speak to it.
    """

    def __init__(self) -> None:
        self.at_exit = ExitStack()
        self.lock = threading.RLock()
        self.is_down = False
        self.state = "ACTIVE"
        self.refuses = False
        self.halt: dict[str, Any] | None = None
        self.facts: dict[tuple[str, str, str], dict[str, Any]] = {}
        self.calls: Counter[str] = Counter()
        self.replays = 0
        self.conflicts: list[dict[str, Any]] = []
        self.heartbeats: list[dict[str, Any]] = []
        self.reports: list[dict[str, Any]] = []
        self.prices: list[dict[str, Any]] = []
        self.candles: dict[tuple[str, str], dict[str, list[str]]] = {}
        self.metadata: dict[str, dict[str, Any]] = {}
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})

    def __enter__(self) -> "FakeApi":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.at_exit.close()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def of(self, kind: str, bot: str | None = None) -> list[dict[str, Any]]:
        """All facts of a kind in the order they came."""
        with self.lock:
            return [data for (k, b, _), data in self.facts.items() if k == kind and bot in (None, b)]

    def positions(self, bot: str) -> list[dict[str, Any]]:
        """Fold a bot's fills, by (executed_at, fill_id), into closed and open positions."""
        with self.lock:
            orders = {order["order_id"]: order for order in self.of("order", bot)}
            fills = sorted(self.of("fill", bot), key=lambda f: (f["executed_at"], f["fill_id"]))
            rows: list[dict[str, Any]] = []
            current: dict[str, dict[str, Any]] = {}
            for fill in fills:
                order = orders[fill["order_id"]]
                _fold(rows, current, order, fill)
            return [self._position_row(bot, number, row) for number, row in enumerate(rows)]

    def _position_row(self, bot: str, number: int, row: dict[str, Any]) -> dict[str, Any]:
        size, cost = row["size"], row["cost"]
        position_id = f"{bot}-p{number}"
        return {
            "position_id": position_id,
            "symbol": row["symbol"],
            "side": row["side"],
            "size": text(abs(size)),
            "avg_entry_price": text(cost / size) if size else "0",
            "cost_basis": text(abs(cost)),
            "realized_pnl": text(row["realised"]),
            "fees": text(row["fees"]),
            "status": "open" if size else "closed",
            "position_metadata": self.metadata.get(position_id),
        }

    def _store(self, kind: str, bot: str, natural_id: str, data: dict[str, Any]) -> tuple[int, Any]:
        known = self.facts.get((kind, bot, natural_id))
        if known is None:
            self.facts[kind, bot, natural_id] = data
            return 201, {kind: data}
        if {k: v for k, v in known.items() if k != "status"} != {k: v for k, v in data.items() if k != "status"}:
            self.conflicts.append(data)
            return 409, {"code": "conflict", "detail": "other content", "status": 409}
        self.replays += 1
        return 200, {kind: known}

    def answer(self, method: str, path: str, query: dict[str, str], bot: str, raw: bytes) -> tuple[int, Any]:
        with self.lock:
            self.calls[f"{method} {path.split('/')[1]}"] += 1
            if path == "/candles" and method == "POST":
                return self._take_candles(query, raw)
            body = json.loads(raw) if raw else {}
            if method == "GET":
                return 200, self._read(path, query, bot)
            if method == "PATCH":
                return self._patch(path, bot, body)
            return self._post(path, bot, body)

    def _post(self, path: str, bot: str, body: dict[str, Any]) -> tuple[int, Any]:
        if path == "/heartbeat":
            self.heartbeats.append({"bot": bot, **body})
            answer = {"server_time": now_text(), "bot_status": "active", "permit": self._permit()}
            return 200, answer | {"halt": self.halt, "config_versions": {}}
        if path == "/prices":
            self.prices.extend(body["prices"])
            return 202, {}
        if path == "/events":
            for event in body["events"]:
                self._store("event", bot, event["event_id"], event)
            return 201, {}
        if path == "/positions/reported":
            self.reports.append({"bot": bot, **body})
            return 201, {"matched": len(body["positions"]), "cases": []}
        if path == "/orders":
            return self._order(bot, body)
        kind = {"/signals": "signal", "/fills": "fill", "/balances": "balance"}[path]
        status, data = self._store(kind, bot, body[f"{kind}_id"], body)
        if kind == "fill" and status < 300:
            order = self.facts["order", bot, body["order_id"]]
            done = sum(Fraction(f["quantity"]) for f in self.of("fill", bot) if f["order_id"] == body["order_id"])
            order["status"] = "filled" if done == Fraction(order["quantity"]) else "partially_filled"
            data = data | {"position": [p for p in self.positions(bot) if p["symbol"] == order["symbol"]][-1]}
        return status, data

    def _order(self, bot: str, body: dict[str, Any]) -> tuple[int, Any]:
        if self.refuses or self.state == "HALTED":
            rejected = {**body, "status": "rejected"}
            self.facts["order", bot, body["order_id"]] = rejected
            reasons = [{"rule": "max_positions", "current": "3", "limit": "3"}]
            return 409, {"code": "risk_rejected", "status": 409, "detail": "refused", "reasons": reasons}
        return self._store("order", bot, body["order_id"], {"status": "pending", **body})

    def _patch(self, path: str, bot: str, body: dict[str, Any]) -> tuple[int, Any]:
        natural_id = path.rsplit("/", 1)[1]
        if path.startswith("/positions/"):
            self.metadata[natural_id] = body["position_metadata"]
            return 200, {}
        order = self.facts["order", bot, natural_id]
        self.facts["order_update", bot, f"{natural_id}-{len(self.facts)}"] = {"order_id": natural_id, **body}
        order["status"] = body["status"]
        return 200, {"order": order}

    def _read(self, path: str, query: dict[str, str], bot: str) -> Any:
        if path == "/permit":
            return self._permit()
        if path == "/candles":
            rows = self.candles.get((query["symbol"], query["interval"]), {})
            start = datetime.fromisoformat(query["start"])
            chosen = [row for at, row in sorted(rows.items()) if start <= datetime.fromisoformat(at)]
            return {"columns": COLUMNS, "rows": chosen[: int(query["limit"])]}
        rows = self.positions(bot) if path == "/positions" else self.of(path[1:].removesuffix("s"), bot)
        chosen = [row for row in rows if query.get("status") in (None, row.get("status"))]
        return {"items": chosen[::-1], "next": None}

    def _permit(self) -> dict[str, Any]:
        return {"state": self.state, "version": 1, "valid_until": now_text(seconds=15), "reasons": []}

    def _take_candles(self, query: dict[str, str], raw: bytes) -> tuple[int, Any]:
        if query:
            rows = list(csv.reader(io.StringIO(raw.decode())))[1:]
        else:
            query = json.loads(raw)
            rows = query["candles"]  # type: ignore[assignment]
        known = self.candles.setdefault((query["symbol"], query["interval"]), {})
        before = len(known)
        known.update({row[0]: row for row in rows})
        return 200, {"received": len(rows), "inserted": len(known) - before, "unchanged": 0, "rejected": 0}

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        api = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            # One packet an answer: two would wait for each other's acknowledgement.
            wbufsize = 65536

            def handle_one(self) -> None:
                raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                url = urlsplit(self.path)
                query = {name: values[0] for name, values in parse_qs(url.query).items()}
                bot = (self.headers.get("Authorization") or "Bearer ").removeprefix("Bearer ")
                if api.is_down:
                    status, body = 503, {"code": "unavailable", "status": 503, "detail": "down"}
                elif url.path == "/health/ready":
                    status, body = 200, {}
                else:
                    path = url.path.removeprefix("/api/v1")
                    status, body = api.answer(self.command, path, query, bot, raw)
                content = json.dumps(body).encode()
                self.send_response(status)
                kind = "application/json" if status < 400 else "application/problem+json"
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            do_GET = do_POST = do_PATCH = handle_one  # noqa: N815

            def log_message(self, format: str, *args: object) -> None:
                """Stay quiet."""

        return Handler


def _fold(
    rows: list[dict[str, Any]], current: dict[str, dict[str, Any]], order: dict[str, Any], fill: dict[str, Any]
) -> None:
    symbol, price, fee = order["symbol"], Fraction(fill["price"]), Fraction(fill["fee"])
    signed = Fraction(fill["quantity"]) * (1 if order["side"] == "buy" else -1)
    whole = abs(signed)
    row = current.get(symbol)
    if row is not None and row["size"] * signed < 0:
        part = min(whole, abs(row["size"]))
        closing = part if signed > 0 else -part
        released = row["cost"] * part / abs(row["size"])
        row["realised"] -= closing * price + released
        row["size"] += closing
        row["cost"] -= released
        row["fees"] += fee * part / whole
        fee -= fee * part / whole
        signed -= closing
        if row["size"] == 0:
            del current[symbol]
    if signed == 0:
        return
    if symbol not in current:
        zero = Fraction(0)
        side = "long" if signed > 0 else "short"
        current[symbol] = {"symbol": symbol, "side": side, "size": zero, "cost": zero, "realised": zero, "fees": zero}
        rows.append(current[symbol])
    row = current[symbol]
    row["size"] += signed
    row["cost"] += signed * price
    row["fees"] += fee
