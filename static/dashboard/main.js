// The control room: one socket fills one store, and each part of the page shows its share of it.

import * as cards from "./cards.js";
import { CandleChart } from "./candles.js";
import { find, make, setText } from "./dom.js";
import { EquityChart } from "./equity.js";
import { Feed } from "./feed.js";
import { Filters } from "./filters.js";
import { age, pnl } from "./format.js";
import { listen } from "./keys.js";
import { LedgerLight } from "./ledger.js";
import { Connection } from "./socket.js";
import { tellWhenUsed } from "./seen.js";
import { Store } from "./store.js";
import { botColumns, positionColumns, Table } from "./tables.js";

const RENDER_MS = 100;
const SPEAK_MS = 5000;

const addresses = JSON.parse(find("#addresses").textContent);
tellWhenUsed(addresses.seen, find("input[name=csrfmiddlewaretoken]").value);
const store = new Store();
const filters = new Filters();
const connection = new Connection(() => filters.query());
const feed = new Feed(store, addresses, filters);
const equity = new EquityChart(store, filters);
const ledger = new LedgerLight(store);
const candles = new CandleChart(store, filters);
const [positionSort, botSort] = [filters.sort || "-opened", "-status"];

const positions = new Table("positions-table", positionColumns(store, addresses), {
  keyOf: (row) => row.position_id,
  sort: positionSort,
  onSort: (sort) => {
    filters.setSort(sort);
    mark(["positions"]);
  },
});
const bots = new Table("bots-table", botColumns(store, addresses), {
  keyOf: (bot) => bot.bot_id,
  sort: botSort,
  onSort: () => mark(["bots"]),
});

const show = {
  positions: () => {
    positions.render(store.positions.values());
    setText(find("#positions-count"), store.positions.size ? String(store.positions.size) : "");
    empty("positions", store.positions.size, ["No open position.", "One appears here the moment a fill opens it."]);
  },
  bots: () => {
    const listed = [...store.bots.values()].filter((bot) => bot.status !== "archived");
    bots.render(listed);
    setText(find("#bots-count"), listed.length ? String(listed.length) : "");
    empty("bots", listed.length, ["No bot yet.", "Create one with ", make("code", {}, "make bots N=1"), " or ", make("a", { href: addresses.add_bot }, "in the admin"), "."]);
    cards.showMode(store);
  },
  prices: () => {
    cards.showPrices(store);
    candles.show();
    empty("prices", store.prices.size, ["No prices yet.", "They come with the first POST /api/v1/prices of a bot."]);
  },
  totals: () => cards.showTotals(store),
  halts: () => {
    cards.showAlarms(store, addresses);
    mark(["bots"]);
  },
  feed: () => feed.render(),
  sources: () => cards.showConnection(connection, store),
};

// An empty part says why it is empty, and what to do about it.
function empty(part, count, [title, ...rest]) {
  const box = find(`#${part}-empty`);
  box.hidden = count > 0;
  find(`#${part}-table, #${part} ul`)?.toggleAttribute("hidden", count === 0);
  if (count > 0 || box.dataset.filtered === String(filters.isOn)) return;
  box.dataset.filtered = String(filters.isOn);
  if (filters.isOn) {
    const clear = make("button", { type: "button" }, "Clear the filter");
    clear.addEventListener("click", () => filters.clear());
    box.replaceChildren(make("strong", {}, "Nothing matches this filter."), clear);
  } else box.replaceChildren(make("strong", {}, title), ...rest);
}

// Parts that changed are drawn together, at most ten times a second and only while somebody can see them.
const changed = new Set();
let drawnAt = 0;
let isDue = false;

function mark(parts) {
  for (const part of parts) changed.add(part);
  if (isDue || changed.size === 0) return;
  isDue = true;
  setTimeout(() => requestAnimationFrame(draw), Math.max(0, drawnAt + RENDER_MS - performance.now()));
}

function draw() {
  isDue = false;
  drawnAt = performance.now();
  const parts = [...changed];
  changed.clear();
  for (const part of parts) show[part]?.();
  if (parts.includes("positions") || parts.includes("bots") || parts.includes("prices")) {
    filters.show({ bot: [...store.bots.keys()], symbol: symbols() });
  }
  cards.showTitle(connection, store);
}

function symbols() {
  return [...new Set([...store.prices.keys(), ...[...store.positions.values()].map((row) => row.symbol)])];
}

let hasBeenAway = false;
connection.addEventListener("message", ({ detail: message }) => {
  const parts = store.apply(message);
  if (parts === "gap") {
    connection.resync();
    return;
  }
  mark(parts);
  if (message.type === "snapshot") caughtUp();
});
connection.addEventListener("state", ({ detail: state }) => {
  cards.showConnection(connection, store);
  cards.showTitle(connection, store);
  if (state === "waiting" || state === "offline") hasBeenAway = true;
  if (state === "signed-out") location.assign(`${addresses.login}?next=${encodeURIComponent(location.pathname + location.search)}`);
});

// After a snapshot, read what happened meanwhile, and say how much it was.
async function caughtUp() {
  const wasAway = hasBeenAway;
  hasBeenAway = false;
  const added = await feed.load();
  equity.load();
  ledger.load();
  if (!wasAway) return;
  const note = find("#caught-up");
  note.hidden = false;
  setText(note, added ? `Caught up ${added} event${added === 1 ? "" : "s"}.` : "Caught up; nothing happened meanwhile.");
  setTimeout(() => (note.hidden = true), 8000);
}

filters.addEventListener("change", () => {
  store.news.length = 0;
  store.seq = null;
  connection.open();
});

// Ages move on without any message.
setInterval(() => {
  cards.showConnection(connection, store);
  cards.showFreshness(connection, store);
  cards.showTitle(connection, store);
  ledger.show();
  if (store.hasSnapshot && !document.hidden) mark(["positions", "bots", "prices", "feed"]);
}, 1000);

// Read aloud what matters, at most every five seconds.
let spoken = "";
setInterval(() => {
  if (!store.hasSnapshot) return;
  const sums = Object.values(store.totals?.by_currency ?? {}).map((group) => `${pnl(group.unrealized_pnl).text} ${group.currency} ${group.deployment_mode}`);
  const text = connection.state === "live" ? `${store.totals?.open_positions ?? 0} open positions` : `Connection ${connection.state}, last heard ${age((Date.now() - store.heardAt) / 1000)} ago`;
  if (text === spoken) return;
  spoken = text;
  setText(find("#spoken"), sums.length && connection.state === "live" ? `${text}, unrealised ${sums.join(", ")}` : text);
}, SPEAK_MS);

find("#theme").addEventListener("click", () => window.nextTheme());
find("#help-button").addEventListener("click", () => find("#help").showModal());
listen(filters);
connection.open();
