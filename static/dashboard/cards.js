// Everything around the tables: mode, alarms, totals, prices, freshness, title.

import { find, flash, make, reconcile, setClass, setText, setTitle, showPnl } from "./dom.js";
import * as format from "./format.js";
import { STALE_SECONDS, wordOf } from "./tables.js";

const MODES = {
  live: ["live", "⬤ LIVE", "Real money"],
  demo: ["demo", "◇ DEMO", "No real money"],
  backtest: ["backtest", "↺ BACKTEST", "History, replayed"],
  mixed: ["mixed", "⬤ LIVE + DEMO", "Real money beside play money; their totals are apart"],
  none: ["unknown", "NO BOTS", "No bot is registered"],
};

export function showMode(store) {
  const modes = new Set([...store.bots.values()].filter((bot) => bot.status !== "archived").map((bot) => bot.deployment_mode));
  const word = modes.size === 0 ? "none" : modes.size > 1 && modes.has("live") ? "mixed" : modes.has("live") ? "live" : [...modes][0];
  const [look, text, title] = MODES[word] ?? MODES.none;
  const element = find("#mode");
  setClass(element, `mode ${look}`);
  setText(element, text);
  setTitle(element, title);
}

export function showAlarms(store, addresses) {
  const halts = [...store.halts.values()].sort((one, other) => (one.state < other.state ? -1 : 1));
  reconcile(find("#alarms"), halts, {
    key: (halt) => `${halt.scope}/${halt.target}/${halt.version}`,
    create: () => make("p", {}, make("strong"), make("span"), make("time"), make("a", { href: addresses.halts }, "Control states")),
    update: (line, halt) => {
      const where = halt.scope === "all" ? "everything" : `${halt.scope} ${halt.target}`;
      const [word, text, time] = line.children;
      setText(word, `■ ${halt.state}`);
      setText(text, `${where}: ${halt.reason ?? ""}`);
      const since = format.moment(halt.since);
      setText(time, `since ${since.text}`);
      setTitle(time, since.title);
    },
  });
}

const CARDS = [
  ["equity", "Equity", "plain", (group) => (group.bots_without_equity ? `${group.bots_without_equity} of ${group.bots} bots not reported` : `${count(group.bots, "bot")}`)],
  ["unrealized_pnl", "Unrealised P&L", "pnl", (group) => (group.unmarked ? `${group.unmarked} without a price` : "at the last prices, gross")],
  ["realized_today", "Realised today", "pnl", () => "net, since 00:00 UTC"],
  ["exposure", "Exposure", "plain", () => "size × price, summed"],
  ["open_positions", "Open positions", "count", (group) => `${count(group.bots, "bot")}`],
];

const count = (number, word) => `${number} ${word}${number === 1 ? "" : "s"}`;

export function showTotals(store) {
  const groups = Object.entries(store.totals?.by_currency ?? {});
  reconcile(find("#totals"), groups, {
    key: ([name]) => name,
    create: ([, group]) => {
      const cards = CARDS.map(([, label]) =>
        make("dl", { class: "card" }, make("dt", {}, label), make("dd", { class: "figure" }), make("dd", { class: "note" })));
      const heading = `${group.deployment_mode} · ${group.currency}`;
      return make("div", { class: "group", role: "group", "aria-label": heading }, make("h2", {}, heading), ...cards);
    },
    update: (element, [, group]) => {
      CARDS.forEach(([name, , kind, note], index) => showCard(element.children[index + 1], group, name, kind, note(group)));
    },
  });
}

function showCard(card, group, name, kind, note) {
  const [, figure, small] = card.children;
  const value = group[name];
  setText(small, note);
  if (kind === "count") {
    setText(figure, String(value));
    return;
  }
  if (!figure.firstElementChild) figure.append(make("span", { class: kind === "pnl" ? "pnl" : "" }), " ", make("span", { class: "unit" }));
  const [shown, unit] = figure.children;
  setText(unit, group.currency);
  if (kind === "pnl") showPnl(shown, format.pnl(value), format.full(value, group.currency));
  else {
    setText(shown, format.money(value));
    setTitle(shown, format.full(value, group.currency));
  }
}

export function showPrices(store) {
  const prices = [...store.prices.entries()].sort(([one], [other]) => (one < other ? -1 : 1));
  reconcile(find("#price-list"), prices, {
    key: ([symbol]) => symbol,
    create: ([symbol]) =>
      make("li", {}, make("span", { class: "symbol" }, symbol), make("span", { class: "age" }), make("span", { class: "value pnl" })),
    update: (item, [symbol, price]) => {
      const [, age, value] = item.children;
      const seconds = store.secondsSince(price.timestamp);
      setText(age, format.age(seconds));
      setTitle(age, format.moment(price.timestamp).title);
      if (item.dataset.price !== price.price) {
        const moved = item.dataset.price ? Number(price.price) - Number(item.dataset.price) : 0;
        const look = { text: format.price(price.price), arrow: moved > 0 ? "▲" : moved < 0 ? "▼" : "", tone: "" };
        showPnl(value, look, `${symbol} ${format.full(price.price)}`);
        if (moved) flash(value, moved);
        item.dataset.price = price.price;
      }
      item.classList.toggle("is-stale", seconds > STALE_SECONDS);
    },
  });
  setText(find("#prices-count"), prices.length ? String(prices.length) : "");
}

const CONNECTION = {
  live: ["live", "live"],
  connecting: ["connecting", "connecting"],
  waiting: ["waiting", "reconnecting"],
  offline: ["offline", "offline"],
  "signed-out": ["offline", "signed out"],
};

export function showConnection(connection, store) {
  let [look, word] = CONNECTION[connection.state];
  if (connection.state === "waiting") {
    word = `reconnecting in ${Math.max(0, Math.ceil((connection.retryAt - Date.now()) / 1000))} s`;
  } else if (connection.state === "live" && store.hasSnapshot) {
    const away = Object.entries(store.sources).filter(([, isThere]) => !isThere).map(([name]) => name);
    if (away.length) [look, word] = ["degraded", `${away.join(" and ")} away`];
  }
  const element = find("#connection");
  setClass(element, `connection ${look}`);
  setText(element.querySelector(".word"), word);
  const now = new Date(store.now());
  const clock = find("#clock");
  setText(clock, format.isoSeconds(now).slice(11));
  setTitle(clock, `Server time, UTC\n${now.toLocaleString()} here`);
}

// "live", "8 s old" or "STALE since 07:41Z", by server time, for each panel.
export function showFreshness(connection, store) {
  const isLive = connection.state === "live" && store.hasSnapshot;
  const silent = store.heardAt === null ? null : (Date.now() - store.heardAt) / 1000;
  for (const element of document.querySelectorAll("[data-freshness]")) {
    const isHurt = element.dataset.freshness === "prices" && store.sources.redis === false;
    if (isLive && !isHurt && silent < 16) {
      setClass(element, "freshness live");
      setText(element, "live");
    } else if (store.heardAt === null) {
      setClass(element, "freshness");
      setText(element, "waiting for data");
    } else if (silent < 20 && !isHurt) {
      setClass(element, "freshness");
      setText(element, `${format.age(silent)} old`);
    } else {
      const since = store.told[element.dataset.freshness];
      setClass(element, "freshness stale");
      setText(element, `STALE since ${format.clock(since).slice(0, 5)}Z`);
    }
    const told = store.told[element.dataset.freshness];
    if (told) setTitle(element, `Last change ${format.moment(told).title}`);
  }
  document.body.classList.toggle("offline-figures", !isLive && store.heardAt !== null);
}

// Alarms in the title, else the number of open positions; the icon carries the same number.
let shownIcon = "";
export function showTitle(connection, store) {
  const words = [...store.bots.values()].map((bot) => wordOf(bot, store));
  const down = words.filter((word) => word === "down").length;
  const isHalted = [...store.halts.values()].some((halt) => halt.state === "HALTED");
  const open = store.totals?.open_positions ?? 0;
  let [text, number, colour] = [open ? `(${open}) ` : "", String(open || ""), "#0f5f8f"];
  if (down) [text, number, colour] = [`(${down} down) `, String(down), "#b3261e"];
  if (isHalted) [text, number, colour] = ["(HALTED) ", "■", "#b3261e"];
  if (connection.state === "signed-out") [text, number, colour] = ["(signed out) ", "!", "#55626f"];
  if (document.title !== `${text}Control room`) document.title = `${text}Control room`;
  const icon = number + colour;
  if (icon === shownIcon) return;
  shownIcon = icon;
  const link = find("#favicon");
  link.dataset.plain ??= link.getAttribute("href");
  link.setAttribute("href", number ? badge(number, colour) : link.dataset.plain);
}

function badge(text, colour) {
  const size = text.length > 2 ? 14 : 19;
  const svg = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32"><rect width="32" height="32" rx="7" fill="${colour}"/>` +
    `<text x="16" y="${16 + size / 2.9}" font-family="sans-serif" font-weight="700" font-size="${size}" fill="#fff" text-anchor="middle">${text}</text></svg>`;
  return `data:image/svg+xml,${encodeURIComponent(svg)}`;
}
