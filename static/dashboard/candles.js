// Candles of one series with entries and exits; drawn when lightweight-charts is installed.

import { read } from "./api.js";
import { find, make, reconcile, setText } from "./dom.js";
import * as format from "./format.js";

const CANDLES = 300;
const REFRESH_MS = 10000;
const SECONDS = { m: 60, h: 3600, d: 86400, w: 604800 };

export class CandleChart {
  constructor(store, filters) {
    Object.assign(this, { store, filters, chosen: "", drawn: null, chart: null });
    this.panel = find("#candles");
    if (!this.panel) return;
    this.all = JSON.parse(find("#series").textContent).map((one) => ({ ...one, key: `${one.exchange}/${one.symbol}/${one.interval}` }));
    this.all.sort((one, other) => (one.symbol < other.symbol ? -1 : one.symbol > other.symbol ? 1 : lengthOf(one.interval) - lengthOf(other.interval)));
    this.select = find("#candles-series");
    this.select.addEventListener("change", () => {
      this.chosen = this.select.value;
      this.show();
    });
    find("#candles-now").addEventListener("click", () => this.chart?.timeScale().scrollToRealTime());
    document.addEventListener("theme", () => this.restyle());
    setInterval(() => document.hidden || this.refresh(), REFRESH_MS);
  }

  // What to draw: the series somebody chose, else the first of a symbol that is held, else the first there is.
  get series() {
    const symbol = this.filters.values.symbol;
    const fitting = symbol ? this.all.filter((one) => one.symbol === symbol) : this.all;
    const held = new Set([...this.store.positions.values()].map((row) => row.symbol));
    return fitting.find((one) => one.key === this.chosen) ?? (this.drawn && fitting.includes(this.drawn) ? this.drawn : null) ??
      fitting.find((one) => held.has(one.symbol)) ?? fitting[0] ?? null;
  }

  show() {
    if (!this.panel) return;
    const series = this.series;
    reconcile(this.select, this.all, {
      key: (one) => one.key,
      create: (one) => make("option", { value: one.key }, `${one.symbol} ${one.interval}, ${one.exchange}`),
      update: () => {},
    });
    this.select.hidden = this.all.length === 0;
    if (series && this.select.value !== series.key) this.select.value = series.key;
    if (series !== this.drawn) this.load(series);
    else this.tick();
  }

  async load(series) {
    this.drawn = series;
    if (!series) {
      const symbol = this.filters.values.symbol;
      this.say(symbol ? `No candles of ${symbol} are stored.` : "No candles are stored yet; bots bring them with POST /api/v1/candles.");
      return;
    }
    try {
      const [rows, trades] = await Promise.all([this.read(CANDLES), this.trades(series.symbol)]);
      if (series === this.drawn) this.draw(rows, trades);
    } catch {
      this.drawn = null;
      this.say("The candles cannot be read right now.");
    }
  }

  async read(limit) {
    const { exchange, symbol, interval } = this.drawn;
    const answer = await read("candles", { exchange, symbol, interval, limit });
    return answer.rows.map((row) => candle(answer.columns, row));
  }

  async trades(symbol) {
    const answer = await read("trades", { symbol, bot_id: this.filters.values.bot, limit: 100 });
    return answer.items;
  }

  // New candles come without a message; look for them now and then.
  async refresh() {
    const series = this.drawn;
    if (!series || !this.line || !this.last) return;
    try {
      const rows = await this.read(2);
      if (series === this.drawn) for (const row of rows) this.put(row);
    } catch {
      // The next round tries again; the chart says by its last candle how old it is.
    }
  }

  say(text) {
    find("#candles-chart").hidden = true;
    find("#candles-empty").hidden = false;
    setText(find("#candles-empty"), text);
    setText(find("#candles-legend"), "");
  }

  draw(rows, trades) {
    const { createChart, CandlestickSeries, createSeriesMarkers } = window.LightweightCharts ?? {};
    if (!createChart || rows.length === 0) return;
    const box = find("#candles-chart");
    box.hidden = false;
    find("#candles-empty").hidden = true;
    if (!this.chart) {
      this.chart = createChart(box, { autoSize: true, ...look() });
      this.line = this.chart.addSeries(CandlestickSeries, colours());
      this.markers = createSeriesMarkers(this.line, []);
      this.chart.subscribeCrosshairMove((point) => this.legend(point.seriesData?.get(this.line)));
    }
    this.last = rows[rows.length - 1];
    this.line.applyOptions({ priceFormat: { type: "price", ...places(this.last.close) } });
    this.line.setData(rows);
    this.markers.setMarkers(marks(trades, rows));
    this.chart.timeScale().fitContent();
    this.legend(null);
  }

  put(row) {
    if (row.time < this.last.time) return;
    this.last = row;
    this.line.update(row);
    this.legend(null);
  }

  // A price moves the last candle or begins the next; one of another time, as in a replay, has no place here.
  tick() {
    const price = this.store.prices.get(this.drawn?.symbol);
    if (!price || !this.line || !this.last) return;
    const length = lengthOf(this.drawn.interval);
    const seconds = Math.floor(Date.parse(price.timestamp) / 1000);
    const time = seconds - (seconds % length);
    if (time < this.last.time || time > this.last.time + 2 * length) return;
    const value = Number(price.price);
    const from = time === this.last.time ? this.last : { open: value, high: value, low: value };
    this.put({ time, open: from.open, high: Math.max(from.high, value), low: Math.min(from.low, value), close: value });
  }

  legend(point) {
    const shown = point ?? this.last;
    if (!shown) return;
    const date = new Date(shown.time * 1000);
    const figures = ["open", "high", "low", "close"].map((name) => `${name[0].toUpperCase()} ${format.price(shown[name].toFixed(8))}`);
    setText(find("#candles-legend"), `${format.isoSeconds(date).slice(5, 16)}Z  ${figures.join("  ")}`);
    find("#candles-legend").title = `${format.isoSeconds(date)}\n${date.toLocaleString()} here`;
  }

  restyle() {
    this.chart?.applyOptions(look());
    this.line?.applyOptions(colours());
  }
}

const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

function colours() {
  const [up, down] = [colour("--up"), colour("--down")];
  return { upColor: up, borderUpColor: up, wickUpColor: up, downColor: down, borderDownColor: down, wickDownColor: down };
}

function look() {
  return {
    layout: { background: { color: "transparent" }, textColor: colour("--muted"), attributionLogo: true, fontSize: 11 },
    grid: { vertLines: { color: colour("--line") }, horzLines: { color: colour("--line") } },
    rightPriceScale: { borderColor: colour("--line") },
    timeScale: { borderColor: colour("--line"), timeVisible: true, secondsVisible: false },
    localization: { timeFormatter: (seconds) => format.isoSeconds(new Date(seconds * 1000)).slice(0, 16) + "Z" },
  };
}

function lengthOf(interval) {
  return Number(interval.slice(0, -1)) * (SECONDS[interval.slice(-1)] ?? 60);
}

// The chart draws pixels; it needs no exact decimals.
function candle(columns, row) {
  const at = (name) => row[columns.indexOf(name)];
  const [open, high, low, close] = ["open", "high", "low", "close"].map((name) => Number(at(name)));
  return { time: Date.parse(at("timestamp")) / 1000, open, high, low, close };
}

// How many places the scale shows, by magnitude.
function places(value) {
  const precision = value >= 1000 ? 2 : value >= 1 ? 4 : 8;
  return { precision, minMove: 10 ** -precision };
}

function marks(trades, rows) {
  const [first, last] = [rows[0].time, rows[rows.length - 1].time + 86400];
  const found = [];
  const add = (at, mark) => {
    const time = Date.parse(at) / 1000;
    if (time >= first && time <= last) found.push({ time, ...mark });
  };
  for (const trade of trades) {
    const isLong = trade.side === "long";
    const [entry, exit] = isLong ? ["belowBar", "aboveBar"] : ["aboveBar", "belowBar"];
    add(trade.entry_time, { position: entry, shape: isLong ? "arrowUp" : "arrowDown", color: colour(isLong ? "--up" : "--down"), text: trade.side });
    if (trade.exit_time) add(trade.exit_time, { position: exit, shape: "circle", color: colour("--muted"), text: "exit" });
  }
  return found.sort((one, other) => one.time - other.time);
}
