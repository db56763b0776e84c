// The tables of positions and bots: sortable, one row a key, a card on a phone.

import { find, flash, make, reconcile, setClass, setText, setTitle, showPnl } from "./dom.js";
import * as format from "./format.js";

export const STALE_SECONDS = 60;
const SEVERITY = ["down", "late", "new", "paused", "up", "stopped", "archived"];

// A table of `columns`: {name, label, order, isNumber, title, cell(td, row)}; `order(row)` is what it sorts by.
export class Table {
  constructor(id, columns, { keyOf, link, describe, sort, onSort }) {
    Object.assign(this, { columns, keyOf, link, describe, sort, onSort });
    this.element = find(`#${id}`);
    this.body = this.element.tBodies[0];
    const head = this.element.tHead.rows[0];
    for (const column of columns) {
      const button = make("button", { type: "button", title: column.title }, column.label);
      button.addEventListener("click", () => this.sortBy(column.name));
      head.append(make("th", { scope: "col", class: column.isNumber ? "num" : "", "data-name": column.name }, button));
    }
    this.body.addEventListener("keydown", (event) => {
      if (event.key === "Enter" && event.target.tagName === "TR") event.target.querySelector("a")?.click();
    });
  }

  sortBy(name) {
    this.sort = this.sort === `-${name}` ? name : `-${name}`;
    this.onSort(this.sort);
  }

  render(rows) {
    const name = this.sort.replace(/^-/, "");
    const column = this.columns.find((other) => other.name === name) ?? this.columns[0];
    const direction = this.sort.startsWith("-") ? -1 : 1;
    const sorted = [...rows].sort((one, other) => direction * compare(column.order(one), column.order(other)) ||
      compare(this.keyOf(one), this.keyOf(other)));
    for (const cell of this.element.tHead.rows[0].cells) {
      const isSorted = cell.dataset.name === column.name;
      if (isSorted) cell.setAttribute("aria-sort", direction > 0 ? "ascending" : "descending");
      else cell.removeAttribute("aria-sort");
    }
    reconcile(this.body, sorted, {
      key: this.keyOf,
      create: () => this.makeRow(),
      update: (tr, row) => this.columns.forEach((each, index) => each.cell(tr.cells[index], row, tr)),
    });
  }

  makeRow() {
    const cells = this.columns.map((column) =>
      make("td", { class: `${column.isNumber ? "num " : ""}${column.look ?? ""}`.trim(), "data-label": column.label }));
    return make("tr", { tabindex: "-1" }, ...cells);
  }
}

function compare(one, other) {
  if (one === other) return 0;
  if (one === null || one === undefined || Number.isNaN(one)) return -1;
  if (other === null || other === undefined || Number.isNaN(other)) return 1;
  return one < other ? -1 : 1;
}

function link(cell, text, href, title) {
  if (!cell.firstElementChild) cell.append(make("a", {}));
  const anchor = cell.firstElementChild;
  if (anchor.getAttribute("href") !== href) anchor.setAttribute("href", href);
  setText(anchor, text);
  if (title) setTitle(anchor, title);
}

// The figure of a sort; rounding does not matter there.
const figure = (text) => (text === null || text === undefined ? NaN : Number(text));

export function positionColumns(store, addresses) {
  const isStale = (row) => (store.secondsSince(row.marked_at) ?? Infinity) > STALE_SECONDS;
  const quote = (row) => store.quoteOf(row);
  return [
    {
      name: "symbol", label: "Symbol", look: "wide title", order: (row) => row.symbol,
      cell: (cell, row) => {
        const [anchor, side] = stack(cell, ["a", "name"], ["span", "side"]);
        const href = `${addresses.positions}?q=${encodeURIComponent(row.position_id)}`;
        if (anchor.getAttribute("href") !== href) anchor.setAttribute("href", href);
        setText(anchor, row.symbol);
        setTitle(anchor, `Open ${row.position_id} in the admin`);
        setText(side, row.side === "long" ? "↗ long" : "↘ short");
        setClass(side, `side ${row.side}`);
      },
    },
    {
      name: "bot", label: "Bot", order: (row) => row.bot_id,
      cell: (cell, row) => link(cell, row.bot_id, `?bot=${encodeURIComponent(row.bot_id)}`, "Show this bot alone"),
    },
    number("size", "Size", (row) => row.size, format.amount, () => ""),
    number("entry", "Entry", (row) => row.avg_entry_price, format.price, quote),
    {
      ...number("mark", "Mark", (row) => row.current_price, format.price, quote),
      cell: (cell, row, tr) => {
        const before = cell.dataset.full;
        const now = row.current_price ?? "";
        setText(cell, format.price(row.current_price));
        const told = row.marked_at ? `at ${format.moment(row.marked_at).text}` : "never marked";
        setTitle(cell, `${format.full(row.current_price, quote(row))}, ${told}`);
        if (before && now && before !== now) flash(cell, Number(now) > Number(before) ? 1 : -1);
        cell.dataset.full = now;
        tr.classList.toggle("is-stale", isStale(row));
      },
    },
    {
      name: "pnl", label: "Unrealised", isNumber: true, order: (row) => figure(row.unrealized_pnl),
      title: "Unrealised P&L, gross, at the mark; below as a share of the cost",
      cell: (cell, row) => {
        const [money, share] = stack(cell, ["span", "pnl"], ["span", "pnl sub"]);
        showPnl(money, format.pnl(row.unrealized_pnl), format.full(row.unrealized_pnl, quote(row)));
        const look = format.pnl(row.unrealized_pnl_pct, format.percent);
        showPnl(share, { ...look, arrow: "" }, `${row.unrealized_pnl_pct ?? "unknown"} of the cost basis`);
      },
    },
    number("fees", "Fees", (row) => row.fees, format.money, quote),
    {
      name: "opened", label: "Opened", isNumber: true, order: (row) => row.opened_at,
      title: "When it was opened, UTC; its age below",
      cell: (cell, row) => {
        const [time, age] = stack(cell, ["time", ""], ["span", "sub"]);
        const moment = format.moment(row.opened_at);
        setText(time, moment.text.slice(5, 16));
        setTitle(time, moment.title);
        setText(age, format.age(store.secondsSince(row.opened_at)));
      },
    },
  ];
}

// Two lines in one cell.
function stack(cell, ...lines) {
  if (!cell.firstElementChild) cell.append(make("span", { class: "stack" }, ...lines.map(([tag, name]) => make(tag, { class: name }))));
  return cell.firstElementChild.children;
}

// A profit inside a cell, in a box of its own, so that a card can set it apart from its label.
function profit(cell, look, title) {
  if (!cell.firstElementChild) cell.append(make("span", { class: "pnl" }));
  showPnl(cell.firstElementChild, look, title);
}

function number(name, label, value, show, unit) {
  return {
    name, label, isNumber: true, order: (row) => figure(value(row)),
    cell: (cell, row) => {
      setText(cell, show(value(row)));
      setTitle(cell, format.full(value(row), unit(row)));
    },
  };
}

// The word that says how a bot is: a halt and a pause are louder than being alive.
export function wordOf(bot, store) {
  const halt = store.restrictionOf(bot);
  if (bot.liveness === "down" || bot.liveness === "late") return bot.liveness;
  if (halt) return halt.state.toLowerCase();
  return bot.status === "paused" ? "paused" : bot.liveness;
}

const MARKS = { up: "●", late: "▲", down: "✕", new: "○", paused: "❚❚", halted: "■", reducing: "▼", stopped: "■" };

export function botColumns(store, addresses) {
  const severity = (bot) => {
    const at = SEVERITY.indexOf(wordOf(bot, store));
    return at < 0 ? 0.5 : at;
  };
  return [
    {
      name: "status", label: "Bot", look: "wide title", order: (bot) => -severity(bot),
      title: "Failed first",
      cell: (cell, bot) => {
        if (!cell.firstElementChild) {
          cell.append(make("span", { class: "status" }), " ", make("a", { class: "name" }), " ", make("span", { class: "sub" }));
        }
        const [status, anchor, strategy] = cell.children;
        const word = wordOf(bot, store);
        setText(status, `${MARKS[word] ?? "●"} ${word}`);
        setClass(status, `status ${word}`);
        setText(anchor, bot.bot_id);
        anchor.setAttribute("href", `${addresses.bots}${encodeURIComponent(bot.bot_id)}/change/`);
        setTitle(anchor, `${bot.bot_name ?? bot.bot_id}: open in the admin`);
        setText(strategy, bot.strategy_name ?? "");
      },
    },
    {
      name: "mode", label: "Mode", order: (bot) => bot.deployment_mode,
      cell: (cell, bot) => setText(cell, bot.deployment_mode),
    },
    {
      name: "heartbeat", label: "Heartbeat", isNumber: true, order: (bot) => bot.last_heartbeat,
      title: "Time since the last sign of life",
      cell: (cell, bot) => {
        setText(cell, bot.last_heartbeat ? `${format.age(store.secondsSince(bot.last_heartbeat))} ago` : "never");
        setTitle(cell, format.moment(bot.last_heartbeat).title);
      },
    },
    number("equity", "Equity", (bot) => bot.current_equity, format.money, (bot) => bot.currency),
    {
      name: "today", label: "Realised today", isNumber: true, order: (bot) => figure(bot.realized_today),
      title: "Net P&L of round trips that ended since 00:00 UTC",
      cell: (cell, bot) => {
        const others = bot.excluded_currencies?.length ? `; without ${bot.excluded_currencies.join(", ")}` : "";
        profit(cell, format.pnl(bot.realized_today), format.full(bot.realized_today, bot.currency) + others);
      },
    },
    {
      name: "positions", label: "Positions", isNumber: true, order: (bot) => bot.open_positions,
      cell: (cell, bot) => {
        setText(cell, bot.max_positions ? `${bot.open_positions} / ${bot.max_positions}` : `${bot.open_positions}`);
        setTitle(cell, "open / allowed");
      },
    },
    {
      name: "errors", label: "Errors", isNumber: true, order: (bot) => bot.error_count,
      cell: (cell, bot) => setText(cell, String(bot.error_count ?? 0)),
    },
  ];
}
