// What is shown, kept in the address: every view is a link.

import { find, make, reconcile } from "./dom.js";

const NAMES = ["bot", "symbol"];

export class Filters extends EventTarget {
  constructor() {
    super();
    this.values = {};
    this.read();
    this.form = find("#filters");
    this.form.addEventListener("submit", (event) => event.preventDefault());
    this.form.addEventListener("change", (event) => this.set({ [event.target.name]: event.target.value }));
    find("#clear").addEventListener("click", () => this.clear());
    window.addEventListener("popstate", () => {
      this.read();
      this.changed();
    });
    // A bot's name in a table narrows the page without loading it anew.
    document.addEventListener("click", (event) => {
      const anchor = event.target.closest?.('a[href^="?"]');
      if (!anchor || event.metaKey || event.ctrlKey || event.button) return;
      event.preventDefault();
      this.set(Object.fromEntries(new URLSearchParams(anchor.getAttribute("href"))));
    });
  }

  read() {
    const query = new URLSearchParams(location.search);
    this.values = Object.fromEntries(NAMES.map((name) => [name, query.get(name) ?? ""]));
    this.sort = query.get("sort") ?? "";
  }

  get isOn() {
    return NAMES.some((name) => this.values[name]);
  }

  // The part of the address that narrows the socket.
  query() {
    const query = new URLSearchParams(NAMES.filter((name) => this.values[name]).map((name) => [name, this.values[name]]));
    return query.size ? `?${query}` : "";
  }

  set(values) {
    Object.assign(this.values, values);
    this.write(true);
    this.changed();
  }

  setSort(sort) {
    this.sort = sort;
    this.write(false);
  }

  clear() {
    this.set({ bot: "", symbol: "" });
  }

  write(isStep) {
    const query = new URLSearchParams(this.query());
    if (this.sort) query.set("sort", this.sort);
    const address = location.pathname + (query.size ? `?${query}` : "") + location.hash;
    history[isStep ? "pushState" : "replaceState"](null, "", address);
  }

  changed() {
    this.show();
    this.dispatchEvent(new Event("change"));
  }

  // Offer what is known, and show what is chosen as chips.
  show(choices = this.choices ?? { bot: [], symbol: [] }) {
    this.choices = choices;
    for (const name of NAMES) {
      const select = this.form.elements[name];
      const chosen = this.values[name];
      const options = ["", ...new Set([...choices[name], ...(chosen ? [chosen] : [])])].sort();
      reconcile(select, options, {
        key: (option) => option,
        create: (option) => make("option", { value: option }, option || "all"),
        update: () => {},
      });
      if (select.value !== chosen) select.value = chosen;
    }
    const chips = NAMES.filter((name) => this.values[name]);
    reconcile(find("#chips"), chips, {
      key: (name) => `${name}=${this.values[name]}`,
      create: (name) => {
        const chip = make("button", { type: "button", class: "chip", "aria-label": `Remove the filter ${name} ${this.values[name]}` },
          `${name}: ${this.values[name]} ×`);
        chip.addEventListener("click", () => this.set({ [name]: "" }));
        return chip;
      },
      update: () => {},
    });
    find("#clear").hidden = chips.length < 2;
  }
}
