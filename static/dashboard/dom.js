// Small helpers that change the page only where something changed.

export const find = (selector) => document.querySelector(selector);

// Make an element; text is always text, never markup.
export function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== undefined && value !== null && value !== false) element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

export function setTitle(element, title) {
  if (element.title !== title) element.title = title;
}

export function setClass(element, name) {
  if (element.className !== name) element.className = name;
}

// Bring the children of a list into the order of `entries`, making and updating one element for each key.
export function reconcile(parent, entries, { key, create, update }) {
  const known = new Map();
  for (const child of parent.children) known.set(child.dataset.key, child);
  let place = parent.firstElementChild;
  for (const entry of entries) {
    const name = key(entry);
    let child = known.get(name);
    if (child) known.delete(name);
    else {
      child = create(entry);
      child.dataset.key = name;
    }
    update(child, entry);
    if (child === place) place = place.nextElementSibling;
    else parent.insertBefore(child, place);
  }
  for (const child of known.values()) child.remove();
}

// Let a figure flash for a moment in the direction it moved.
export function flash(element, direction) {
  const name = direction > 0 ? "ticked-up" : "ticked-down";
  element.classList.remove("ticked-up", "ticked-down");
  // The animation starts anew only after the style was computed without it.
  void element.offsetWidth;
  element.classList.add(name);
}

// A profit or loss inside an element: arrow, sign, colour; every digit in the title.
export function showPnl(element, look, title) {
  if (!element.firstElementChild) element.append(make("span", { class: "arrow", "aria-hidden": "true" }), make("span"));
  const [arrow, text] = element.children;
  setText(arrow, look.arrow);
  setText(text, look.text);
  for (const tone of ["up", "down"]) element.classList.toggle(tone, look.tone === tone);
  setTitle(element, title);
}
