// What the page knows: the last snapshot and every change since, in the words of the server.

const NEWS = new Set(["order", "fill", "trade", "signal", "risk", "halt", "event"]);
const IDS = { order: "order_id", fill: "fill_id", trade: "trade_id", signal: "signal_id", event: "event_id" };
const TIMES = ["executed_at", "exit_time", "updated_at", "created_at", "timestamp", "event_time", "since"];
const MOST_NEWS = 200;

export class Store {
  constructor() {
    this.positions = new Map();
    this.bots = new Map();
    this.prices = new Map();
    this.halts = new Map();
    this.totals = null;
    this.sources = {};
    this.news = [];
    this.seq = null;
    this.hasSnapshot = false;
    // Milliseconds the server's clock is ahead of ours, by the message that took the least time.
    this.ahead = null;
    this.heardAt = null;
    // Server time at which each part was last told.
    this.told = {};
  }

  now() {
    return Date.now() + (this.ahead ?? 0);
  }

  secondsSince(text) {
    return text ? (this.now() - Date.parse(text)) / 1000 : null;
  }

  // The strictest restriction that applies to a bot; a halted symbol does not stop the whole bot.
  restrictionOf(bot) {
    const targets = { all: "", bot: bot.bot_id, exchange: bot.exchange };
    const found = [...this.halts.values()].filter((halt) => targets[halt.scope] === (halt.target ?? ""));
    return found.find((halt) => halt.state === "HALTED") ?? found[0];
  }

  // The currency a position's money is in, as far as its symbol tells.
  quoteOf(row) {
    const currency = this.bots.get(row.bot_id)?.currency ?? "";
    return currency && row.symbol.split(":")[0].endsWith(currency) ? currency : "(quote currency)";
  }

  // Take in a message; return the parts that changed, or "gap" when one is missing before it.
  apply(message) {
    this.heardAt = Date.now();
    if (message.at) this.setClock(message.at);
    if (message.sources) this.sources = message.sources;
    if (message.type === "ping") return ["sources"];
    if (message.type === "snapshot") return this.restart(message);
    if (this.seq === null || message.seq !== this.seq + 1) return "gap";
    this.seq = message.seq;
    if (message.type === "delta") return this.change(message);
    return NEWS.has(message.type) ? this.hear(message) : [];
  }

  setClock(at) {
    const ahead = Date.parse(at) - Date.now();
    if (this.ahead === null || ahead > this.ahead) this.ahead = ahead;
    // Clocks drift; a minute of it is forgotten in an hour.
    else this.ahead -= (this.ahead - ahead) / 500;
  }

  restart(message) {
    this.seq = message.seq;
    this.hasSnapshot = true;
    this.positions = new Map(message.positions.map((row) => [row.position_id, row]));
    this.bots = new Map(message.bots.map((row) => [row.bot_id, row]));
    this.prices = new Map(Object.entries(message.prices));
    this.halts = new Map(message.halts.map((halt) => [`${halt.scope}/${halt.target}`, halt]));
    this.totals = message.totals;
    for (const part of ["positions", "bots", "prices", "feed"]) this.told[part] = message.at;
    return ["positions", "bots", "prices", "totals", "halts", "sources"];
  }

  change(message) {
    const changed = ["totals"];
    for (const row of message.positions) this.positions.set(row.position_id, row);
    for (const id of message.closed) this.positions.delete(id);
    if (message.positions.length || message.closed.length) changed.push("positions");
    for (const row of message.bots) this.bots.set(row.bot_id, row);
    if (message.bots.length) changed.push("bots");
    for (const [symbol, price] of Object.entries(message.prices)) {
      this.prices.set(symbol, { ...price, before: this.prices.get(symbol)?.price });
      if (!changed.includes("prices")) changed.push("prices");
    }
    this.totals = message.totals;
    for (const part of changed) this.told[part] = message.at;
    return changed;
  }

  hear(message) {
    this.told.feed = message.at;
    for (const item of message.items) this.addNews(message.type, item, message.at);
    if (message.type !== "halt") return ["feed"];
    for (const halt of message.items) {
      const key = `${halt.scope}/${halt.target}`;
      if (halt.state === "ACTIVE") this.halts.delete(key);
      else this.halts.set(key, halt);
    }
    return ["halts", "feed"];
  }

  // Keep one piece of news, the newest first; return whether it is new.
  addNews(kind, item, at) {
    const own = item[IDS[kind]];
    const moment = TIMES.map((name) => item[name]).find(Boolean) ?? at;
    const key = own ? `${kind}/${item.bot_id}/${own}` : `${kind}/${moment}/${item.message ?? item.target ?? ""}`;
    const known = this.news.findIndex((other) => other.key === key);
    if (known >= 0) this.news.splice(known, 1);
    const entry = { key, kind, item, at: moment };
    const before = this.news.findIndex((other) => other.at <= moment);
    this.news.splice(before < 0 ? this.news.length : before, 0, entry);
    this.news.length = Math.min(this.news.length, MOST_NEWS);
    return known < 0;
  }
}
