// The equity of each currency over the last days, from the five-minute snapshots; drawn when uPlot is installed.

import { read } from "./api.js";
import { find, make, setText } from "./dom.js";
import * as format from "./format.js";

const PAGE = 1000;
const MOST_PAGES = 3;
const REFRESH_MS = 60000;

export class EquityChart {
  constructor(store) {
    this.store = store;
    this.panel = find("#equity");
    if (!this.panel) return;
    this.days = 1;
    this.currency = null;
    for (const button of this.panel.querySelectorAll("[data-days]")) {
      button.addEventListener("click", () => this.choose(Number(button.dataset.days)));
    }
    document.addEventListener("theme", () => this.draw());
    new ResizeObserver(() => this.plot?.setSize(this.size())).observe(find("#equity-chart"));
    setInterval(() => document.hidden || this.load(), REFRESH_MS);
  }

  choose(days) {
    this.days = days;
    for (const button of this.panel.querySelectorAll("[data-days]")) {
      button.setAttribute("aria-pressed", String(Number(button.dataset.days) === days));
    }
    this.load();
  }

  // Show the currency most bots trade in; others stay in the totals above.
  async load() {
    if (!this.panel) return;
    const groups = Object.values(this.store.totals?.by_currency ?? {});
    this.currency = [...groups].sort((one, other) => other.bots - one.bots)[0]?.currency ?? null;
    try {
      this.rows = this.currency ? await this.readAll() : [];
    } catch {
      this.rows = null;
    }
    this.draw();
  }

  async readAll() {
    const start = new Date(this.store.now() - this.days * 86400000).toISOString();
    const rows = [];
    let cursor = "";
    for (let page = 0; page < MOST_PAGES; page += 1) {
      const answer = await read("portfolio/snapshots", { start, currency: this.currency, limit: PAGE, cursor });
      rows.push(...answer.items);
      cursor = answer.next;
      if (!cursor) break;
    }
    return rows.reverse();
  }

  size() {
    const box = find("#equity-chart");
    return { width: Math.max(200, box.clientWidth - 16), height: Math.max(120, box.clientHeight - 8) };
  }

  draw() {
    const rows = this.rows ?? [];
    const empty = find("#equity-empty");
    const isDrawable = rows.length > 1 && window.uPlot;
    empty.hidden = isDrawable;
    setText(empty, this.rows === null ? "The snapshots cannot be read right now." : "No snapshots yet: one is taken every five minutes.");
    find("#equity-chart").hidden = !isDrawable;
    setText(find("#equity-title"), this.currency ? `Equity, ${this.currency}` : "Equity");
    this.plot?.destroy();
    this.plot = null;
    this.list(rows);
    if (isDrawable) this.plot = new window.uPlot(this.options(), this.columns(rows), find("#equity-chart"));
  }

  // Pixels need no exact decimals; the table below keeps them.
  columns(rows) {
    return [rows.map((row) => Date.parse(row.timestamp) / 1000), rows.map((row) => Number(row.total_equity))];
  }

  options() {
    const style = getComputedStyle(document.documentElement);
    const colour = (name) => style.getPropertyValue(name).trim();
    const axis = { stroke: colour("--muted"), grid: { stroke: colour("--line"), width: 1 }, ticks: { stroke: colour("--line"), width: 1 }, font: "11px sans-serif" };
    const utc = (seconds) => new Date(seconds * 1000);
    return {
      ...this.size(),
      tzDate: (seconds) => window.uPlot.tzDate(utc(seconds), "Etc/UTC"),
      legend: { show: true },
      cursor: { points: { size: 6 } },
      scales: { x: { time: true } },
      axes: [axis, { ...axis, size: 64, values: (_, ticks) => ticks.map((tick) => tick.toLocaleString("en-US")) }],
      series: [
        { label: "UTC", value: (_, seconds) => (seconds === null ? "–" : format.isoSeconds(utc(seconds)).slice(5, 16)) },
        { label: "Equity", stroke: colour("--accent"), width: 1.5, fill: colour("--accent-soft"), value: (_, value) => (value === null ? "–" : format.money(value.toFixed(2))) },
      ],
    };
  }

  list(rows) {
    const newest = rows.slice(-100).reverse();
    find("#equity-rows").replaceChildren(...newest.map((row) =>
      make("tr", {}, make("td", {}, format.isoSeconds(new Date(row.timestamp))), make("td", { class: "num", title: format.full(row.total_equity, this.currency) }, format.money(row.total_equity)))));
  }
}
