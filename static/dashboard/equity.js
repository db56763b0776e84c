// The equity of each currency over the last days, from the five-minute snapshots; drawn when uPlot is installed.

import { read } from "./api.js";
import { find, make, setText } from "./dom.js";
import * as format from "./format.js";

const PAGE = 1000;
// One snapshot each five minutes: up to this many days all of them are read, beyond that one for each slice.
const WHOLE_DAYS = 7;
const SLICES = 60;
const REFRESH_MS = 60000;

export class EquityChart {
  constructor(store, filters) {
    this.store = store;
    this.filters = filters;
    this.panel = find("#equity");
    if (!this.panel) return;
    this.days = 1;
    this.currency = null;
    for (const button of this.panel.querySelectorAll("[data-days]")) {
      button.addEventListener("click", () => this.choose(Number(button.dataset.days)));
    }
    document.addEventListener("theme", () => this.draw());
    new ResizeObserver(() => this.plot?.setSize(this.size())).observe(find("#equity-chart"));
    setInterval(() => document.hidden || this.days > WHOLE_DAYS || this.load(), REFRESH_MS);
  }

  choose(days) {
    this.days = days;
    this.hasChosen = true;
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
    const asked = this.days;
    let rows;
    try {
      rows = this.currency ? await this.readAll() : [];
    } catch {
      rows = null;
    }
    if (asked !== this.days) return;
    this.rows = rows;
    this.draw();
    if (rows?.length < 2 && this.currency && !this.hasChosen) this.choose(60);
  }

  async readAll() {
    const now = this.store.now();
    const start = now - this.days * 86400000;
    if (this.days > WHOLE_DAYS) return this.readSlices(start, now);
    const rows = [];
    let cursor = "";
    do {
      const answer = await this.ask({ start, limit: PAGE, cursor });
      rows.push(...answer.items);
      cursor = answer.next;
    } while (cursor);
    return rows.reverse();
  }

  // The newest snapshot of each slice; neighbours are asked together, a few at a time.
  async readSlices(start, now) {
    const length = (now - start) / SLICES;
    const rows = [];
    for (let first = 0; first < SLICES; first += 6) {
      const asked = [0, 1, 2, 3, 4, 5].map((step) => start + (first + step) * length);
      const answers = await Promise.all(asked.map((from) => this.ask({ start: from, end: from + length, limit: 1 })));
      for (const answer of answers) rows.push(...answer.items);
    }
    return rows;
  }

  ask({ start, end, ...query }) {
    const times = { start: new Date(start).toISOString(), end: end && new Date(end).toISOString() };
    return read("portfolio/snapshots", { ...times, currency: this.currency, ...query });
  }

  size() {
    const box = find("#equity-chart");
    // The legend stands below the drawing.
    return { width: Math.max(200, box.clientWidth - 16), height: Math.max(120, box.clientHeight - 48) };
  }

  draw() {
    const rows = this.rows ?? [];
    const empty = find("#equity-empty");
    const isDrawable = rows.length > 1 && window.uPlot;
    empty.hidden = isDrawable;
    setText(empty, this.rows === null ? "The snapshots cannot be read right now." : "No snapshots yet: one is taken every five minutes.");
    find("#equity-chart").hidden = !isDrawable;
    const whose = this.filters.values.bot || "all bots";
    setText(find("#equity-title"), this.currency ? `Equity of ${whose}, ${this.currency}` : "Equity");
    this.plot?.destroy();
    this.plot = null;
    this.list(rows);
    if (isDrawable) this.plot = new window.uPlot(this.options(), this.columns(rows), find("#equity-chart"));
  }

  // The equity of the bot that is filtered by, else of all.
  equityOf(row) {
    const bot = this.filters.values.bot;
    return bot ? (row.bot_metrics?.[bot]?.equity ?? null) : row.total_equity;
  }

  // Pixels need no exact decimals; the table below keeps them.
  columns(rows) {
    const figure = (text) => (text === null ? null : Number(text));
    return [rows.map((row) => Date.parse(row.timestamp) / 1000), rows.map((row) => figure(this.equityOf(row)))];
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
      axes: [{ ...axis, values: (_, ticks) => ticks.map((tick) => this.label(tick)) }, { ...axis, size: 64, values: (_, ticks) => ticks.map((tick) => tick.toLocaleString("en-US")) }],
      series: [
        { label: "Time, UTC", value: (_, seconds) => (seconds === null ? "–" : format.isoSeconds(utc(seconds)).slice(5, 16)) },
        { label: "Equity", stroke: colour("--accent"), width: 1.5, fill: colour("--accent-soft"), value: (_, value) => (value === null ? "–" : format.money(value.toFixed(2))) },
      ],
    };
  }

  // A day in a long range, the time of day in a short one; UTC.
  label(seconds) {
    const text = format.isoSeconds(new Date(seconds * 1000));
    return this.days > 1 ? text.slice(5, 10) : text.slice(11, 16);
  }

  list(rows) {
    const newest = rows.slice(-100).reverse();
    find("#equity-rows").replaceChildren(...newest.map((row) =>
      make("tr", {}, make("td", {}, format.isoSeconds(new Date(row.timestamp))), make("td", { class: "num", title: format.full(this.equityOf(row), this.currency) }, format.money(this.equityOf(row))))));
  }
}
