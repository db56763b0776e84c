// Activity: what happened last, from the API first and from the socket from then on.

import { read } from "./api.js";
import { find, make, reconcile, setText, setTitle, showPnl } from "./dom.js";
import * as format from "./format.js";

const FIRST = 15;
const SHOWN = 60;
const SOURCES = { trade: "trades", fill: "fills", signal: "signals", order: "orders" };

const WORDS = {
  trade: (item) => ({
    what: `${item.symbol} ${item.side} ${format.amount(item.quantity)} closed at ${format.price(item.exit_price)}`,
    pnl: item.net_pnl,
    href: ["trades", item.trade_id],
  }),
  fill: (item) => ({
    what: `${item.side} ${format.amount(item.quantity)} ${item.symbol} at ${format.price(item.price)}`,
    note: item.fee ? `fee ${format.money(item.fee)} ${item.fee_currency ?? ""}` : "",
    href: ["fills", item.fill_id],
  }),
  order: (item) => ({
    what: `${item.side} ${format.amount(item.quantity)} ${item.symbol} ${item.order_type ?? ""}: ${item.status}`,
    note: item.rejection_reason ?? "",
    href: ["orders", item.order_id],
    isAlarm: item.status === "rejected" || item.status === "failed",
  }),
  signal: (item) => ({
    what: `${(item.signal_type ?? "").replace("_", " ")} ${item.symbol} at ${format.price(item.price)}`,
    note: item.strategy ?? "",
    href: ["signals", item.signal_id],
  }),
  event: (item) => ({
    what: item.message ?? item.event_type,
    note: item.event_type ?? "",
    isAlarm: item.event_level === "ERROR" || item.event_level === "CRITICAL",
  }),
  risk: (item) => ({ what: `${item.risk_type}: ${item.current_value} of ${item.limit_value}`, note: item.action_taken ?? "", isAlarm: true }),
  halt: (item) => ({
    what: `${item.scope === "all" ? "everything" : `${item.scope} ${item.target}`}: ${item.state}`,
    note: item.reason ?? "",
    isAlarm: item.state !== "ACTIVE",
  }),
};

// Everything that is neither trade, fill, order nor signal stands under "Events".
const groupOf = (kind) => (kind in SOURCES ? kind : "event");

export class Feed {
  constructor(store, addresses, filters) {
    Object.assign(this, { store, addresses, filters, kind: "" });
    for (const button of document.querySelectorAll("#feed-kinds button")) {
      button.addEventListener("click", () => this.choose(button.dataset.kind));
    }
  }

  choose(kind) {
    this.kind = kind;
    for (const button of document.querySelectorAll("#feed-kinds button")) {
      button.setAttribute("aria-pressed", String(button.dataset.kind === kind));
    }
    this.render();
  }

  // Read the newest of each kind; return how many were not known yet.
  async load() {
    const { bot, symbol } = this.filters.values;
    const answers = await Promise.allSettled(Object.entries(SOURCES).map(async ([kind, path]) => {
      const query = { limit: FIRST, bot_id: bot, symbol, ...(kind === "trade" ? { status: "closed" } : {}) };
      return [kind, (await read(path, query)).items];
    }));
    let added = 0;
    for (const answer of answers) {
      if (answer.status !== "fulfilled") continue;
      const [kind, items] = answer.value;
      for (const item of items) added += this.store.addNews(kind, item, null) ? 1 : 0;
    }
    this.render();
    return added;
  }

  render() {
    const shown = this.store.news.filter(({ kind }) => !this.kind || groupOf(kind) === this.kind).slice(0, SHOWN);
    reconcile(find("#feed-list"), shown, {
      key: (entry) => entry.key,
      create: () =>
        make("li", {}, make("span", { class: "kind" }), make("span", { class: "what" }, make("a"), make("span", { class: "pnl" }), make("span", { class: "who" })), make("time")),
      update: (line, entry) => this.update(line, entry),
    });
    const empty = find("#feed-empty");
    empty.hidden = shown.length > 0;
    setText(empty, this.filters.isOn ? "Nothing matches this filter." : "Nothing happened yet. Signals, orders, fills and trades appear here as bots report them.");
  }

  update(line, { kind, item, at }) {
    const words = (WORDS[kind] ?? WORDS.event)(item);
    const [label, what, time] = line.children;
    const [anchor, pnl, who] = what.children;
    setText(label, kind);
    line.classList.toggle("alarm", Boolean(words.isAlarm));
    setText(anchor, words.what);
    if (words.href?.[1]) anchor.setAttribute("href", `${this.addresses[words.href[0]]}?q=${encodeURIComponent(words.href[1])}`);
    if (words.pnl !== undefined) showPnl(pnl, format.pnl(words.pnl), format.full(words.pnl));
    setText(who, [item.bot_id, words.note].filter(Boolean).join(" · "));
    const moment = format.moment(at);
    const age = this.store.secondsSince(at);
    setText(time, age < 86400 ? `${format.age(age)} ago` : moment.text.slice(5, 16));
    setTitle(time, moment.title);
  }
}
