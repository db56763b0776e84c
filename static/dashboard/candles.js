// Candles of one symbol with entries and exits; drawn when lightweight-charts is installed.

import { read } from "./api.js";
import { find, make, reconcile, setText } from "./dom.js";
import * as format from "./format.js";

const INTERVALS = ["1m", "5m", "15m", "30m", "1h", "4h", "1d"];
const CANDLES = 300;
const SECONDS = { m: 60, h: 3600, d: 86400 };

export class CandleChart {
  constructor(store, filters) {
    Object.assign(this, { store, filters, chosen: "", drawn: "" });
    this.panel = find("#candles");
    if (!this.panel) return;
    this.select = find("#candles-symbol");
    this.select.addEventListener("change", () => {
      this.chosen = this.select.value;
      this.load();
    });
    find("#candles-now").addEventListener("click", () => this.chart?.timeScale().scrollToRealTime());
    document.addEventListener("theme", () => this.chart?.applyOptions(this.look()));
  }

  get symbol() {
    const known = [...this.store.prices.keys()].sort();
    const held = [...this.store.positions.values()].map((row) => row.symbol).sort();
    return this.filters.values.symbol || (known.includes(this.chosen) ? this.chosen : "") || held[0] || known[0] || "";
  }

  // Follow the symbols that are known; draw when there is another one to show.
  show() {
    if (!this.panel) return;
    const symbol = this.symbol;
    const symbols = [...new Set([...this.store.prices.keys(), ...(symbol ? [symbol] : [])])].sort();
    reconcile(this.select, symbols, { key: (name) => name, create: (name) => make("option", { value: name }, name), update: () => {} });
    if (symbol && this.select.value !== symbol) this.select.value = symbol;
    if (symbol !== this.drawn) this.load();
    else this.tick();
  }

  async load() {
    const symbol = (this.drawn = this.symbol);
    if (!symbol) return this.say("No prices yet: they come with the first POST /prices of a bot.");
    try {
      const series = await this.firstSeries(symbol);
      if (symbol !== this.drawn) return undefined;
      if (!series) return this.say(`No candles of ${symbol} are stored; bots bring them with POST /candles.`);
      this.draw(symbol, series, await this.trades(symbol));
    } catch {
      this.say("The candles cannot be read right now.");
    }
    return undefined;
  }

  // The finest series that is stored for the symbol on the exchange of a bot.
  async firstSeries(symbol) {
    const exchanges = [...new Set([...this.store.bots.values()].map((bot) => bot.exchange).filter(Boolean))];
    for (const exchange of exchanges) {
      for (const interval of INTERVALS) {
        const start = new Date(this.store.now() - CANDLES * lengthOf(interval) * 1000).toISOString();
        const answer = await read("candles", { exchange, symbol, interval, start, limit: CANDLES });
        if (answer.rows.length > 1) return { interval, rows: answer.rows.map((row) => candle(answer.columns, row)) };
      }
    }
    return null;
  }

  async trades(symbol) {
    const answer = await read("trades", { symbol, bot_id: this.filters.values.bot, limit: 100 });
    return answer.items;
  }

  say(text) {
    find("#candles-chart").hidden = true;
    find("#candles-empty").hidden = false;
    setText(find("#candles-empty"), text);
    setText(find("#candles-name"), "");
    setText(find("#candles-legend"), "");
  }

  draw(symbol, { interval, rows }, trades) {
    const box = find("#candles-chart");
    box.hidden = false;
    find("#candles-empty").hidden = true;
    setText(find("#candles-name"), `${symbol}, ${interval}, UTC`);
    this.length = lengthOf(interval);
    this.last = rows[rows.length - 1];
    const { createChart, CandlestickSeries, createSeriesMarkers } = window.LightweightCharts ?? {};
    if (!createChart) return;
    if (!this.chart) {
      this.chart = createChart(box, { autoSize: true, ...this.look() });
      this.series = this.chart.addSeries(CandlestickSeries, {});
      this.markers = createSeriesMarkers(this.series, []);
      this.chart.subscribeCrosshairMove((point) => this.legend(point.seriesData?.get(this.series)));
    }
    this.series.applyOptions({ ...this.colours(), priceFormat: { type: "price", ...places(this.last.close) } });
    this.series.setData(rows);
    this.markers.setMarkers(marks(trades, rows));
    this.chart.timeScale().fitContent();
    this.legend(null);
  }

  // A price after the last candle moves it, or begins the next one.
  tick() {
    const price = this.store.prices.get(this.drawn);
    if (!price || !this.series || !this.last) return;
    const value = Number(price.price);
    const seconds = Math.floor(Date.parse(price.timestamp) / 1000);
    const time = seconds - (seconds % this.length);
    if (time < this.last.time) return;
    const from = time === this.last.time ? this.last : { open: value, high: value, low: value };
    this.last = { time, open: from.open, high: Math.max(from.high, value), low: Math.min(from.low, value), close: value };
    this.series.update(this.last);
    this.legend(null);
  }

  legend(point) {
    const shown = point ?? this.last;
    if (!shown) return;
    const date = new Date(shown.time * 1000);
    const figures = ["open", "high", "low", "close"].map((name) => `${name[0].toUpperCase()} ${format.price(String(shown[name]))}`);
    setText(find("#candles-legend"), `${format.isoSeconds(date).slice(0, 16)}Z  ${figures.join("  ")}`);
    find("#candles-legend").title = `${date.toLocaleString()} here`;
  }

  colours() {
    const style = getComputedStyle(document.documentElement);
    const [up, down] = [style.getPropertyValue("--up").trim(), style.getPropertyValue("--down").trim()];
    return { upColor: up, borderUpColor: up, wickUpColor: up, downColor: down, borderDownColor: down, wickDownColor: down };
  }

  look() {
    const style = getComputedStyle(document.documentElement);
    const colour = (name) => style.getPropertyValue(name).trim();
    this.series?.applyOptions(this.colours());
    return {
      layout: { background: { color: "transparent" }, textColor: colour("--muted"), attributionLogo: true, fontSize: 11 },
      grid: { vertLines: { color: colour("--line") }, horzLines: { color: colour("--line") } },
      rightPriceScale: { borderColor: colour("--line") },
      timeScale: { borderColor: colour("--line"), timeVisible: true, secondsVisible: false },
      localization: { timeFormatter: (seconds) => format.isoSeconds(new Date(seconds * 1000)).slice(0, 16) + "Z" },
    };
  }
}

function lengthOf(interval) {
  return Number(interval.slice(0, -1)) * SECONDS[interval.slice(-1)];
}

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
  const first = rows[0].time;
  const found = [];
  for (const trade of trades) {
    const isLong = trade.side === "long";
    const entry = Date.parse(trade.entry_time) / 1000;
    if (entry >= first) found.push({ time: entry, position: isLong ? "belowBar" : "aboveBar", shape: isLong ? "arrowUp" : "arrowDown", color: isLong ? "#08a15a" : "#d8453b", text: trade.side });
    const exit = trade.exit_time ? Date.parse(trade.exit_time) / 1000 : 0;
    if (exit >= first) found.push({ time: exit, position: isLong ? "aboveBar" : "belowBar", shape: "circle", color: "#7a8794", text: "exit" });
  }
  return found.sort((one, other) => one.time - other.time);
}
