// Keyboard: only where nobody is typing.

import { find } from "./dom.js";

const PLACES = { p: "#positions", b: "#bots", a: "#feed" };

export function listen(filters) {
  let isGoing = false;
  document.addEventListener("keydown", (event) => {
    if (event.metaKey || event.ctrlKey || event.altKey || isTyping(event.target)) return;
    const key = event.key;
    if (isGoing) {
      isGoing = false;
      if (key in PLACES) go(PLACES[key]);
      return;
    }
    if (key === "g") isGoing = true;
    else if (key === "/") {
      event.preventDefault();
      find("#filter-bot").focus();
    } else if (key === "?") find("#help").showModal();
    else if (key === "t") window.nextTheme();
    else if (key === "j" || key === "k") step(key === "j" ? 1 : -1);
    else if (key === "Escape" && filters.isOn && !find("#help").open) filters.clear();
  });
}

function isTyping(element) {
  return element.matches?.("input, textarea, select, [contenteditable]");
}

function go(place) {
  const section = find(place);
  section?.scrollIntoView({ block: "start" });
  (section?.querySelector("tbody tr") ?? section?.querySelector("a, button"))?.focus({ preventScroll: true });
}

function step(by) {
  const rows = [...document.querySelectorAll("#positions-table tbody tr, #bots-table tbody tr")];
  const at = rows.indexOf(document.activeElement);
  rows[at < 0 ? (by > 0 ? 0 : rows.length - 1) : Math.min(rows.length - 1, Math.max(0, at + by))]?.focus();
}
