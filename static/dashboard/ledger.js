// Whether the ledger holds: the last run of the invariants, how old it is, and what it found.

import { read } from "./api.js";
import { find, setClass, setText, setTitle } from "./dom.js";
import * as format from "./format.js";

const REFRESH_MS = 20000;
// A run comes each minute; when three are missing, nobody knows.
const STALE_SECONDS = 180;

export class LedgerLight {
  constructor(store) {
    this.store = store;
    this.report = null;
    setInterval(() => document.hidden || this.load(), REFRESH_MS);
  }

  async load() {
    try {
      this.report = await read("invariants", { run: false });
    } catch {
      // No run yet; or no answer: the last report goes on ageing, and turns red.
    }
    this.show();
  }

  show() {
    const element = find("#ledger");
    if (!this.report) return;
    const broken = Object.entries(this.report.invariants).filter(([, found]) => found.count);
    const seconds = this.store.secondsSince(this.report.at);
    const isStale = seconds > STALE_SECONDS;
    const isWell = this.report.ok && !isStale;
    setClass(element, `ledger connection ${isWell ? "live" : "offline"}`);
    const age = format.age(seconds);
    let words = `Ledger holds · ${age}`;
    if (isStale) words = `Ledger not looked at for ${age}`;
    if (broken.length) words = `Ledger red: ${broken.map(([name]) => name.split("_")[0]).join(", ")} · ${age}`;
    setText(element.querySelector(".word"), words);
    const lines = broken.map(([name, found]) => `${name}: ${found.count}`);
    const looked = `Looked at ${format.moment(this.report.at).title}`;
    setTitle(element, [...lines, `${Object.keys(this.report.invariants).length} invariants`, looked].join("\n"));
  }
}
