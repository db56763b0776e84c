// How figures and times look. Amounts are text from the database to the screen: no float ever touches them.

const PLAIN = /^(-?)(\d+)(?:\.(\d+))?$/;

// Take a decimal apart; null for anything that is none.
function parts(text) {
  const match = typeof text === "string" ? PLAIN.exec(text) : null;
  return match ? { isNegative: match[1] === "-", whole: match[2], rest: match[3] ?? "" } : null;
}

// -1, 0 or 1; null when unknown.
export function sign(text) {
  const found = parts(text);
  if (!found) return null;
  if (/^0*$/.test(found.whole + found.rest)) return 0;
  return found.isNegative ? -1 : 1;
}

// Round half away from zero to a number of places and group the thousands.
export function rounded(text, places) {
  const found = parts(text);
  if (!found) return "–";
  const digits = found.rest.padEnd(places + 1, "0");
  let value = BigInt(found.whole + digits.slice(0, places));
  if (digits[places] >= "5") value += 1n;
  const shown = value.toString().padStart(places + 1, "0");
  const whole = places ? shown.slice(0, -places) : shown;
  const isZero = value === 0n;
  return (found.isNegative && !isZero ? "−" : "") + grouped(whole) + (places ? "." + shown.slice(-places) : "");
}

function grouped(whole) {
  return whole.replace(/\B(?=(\d{3})+$)/g, ",");
}

// Every digit that is known, for the title of a figure.
export function full(text, unit = "") {
  const found = parts(text);
  if (!found) return "unknown";
  const rest = found.rest.replace(/0+$/, "");
  return (found.isNegative ? "−" : "") + grouped(found.whole) + (rest ? "." + rest : "") + (unit ? " " + unit : "");
}

// Two places, and as many more as a small amount needs to show two digits.
export function money(text) {
  const found = parts(text);
  if (!found) return "–";
  if (found.whole !== "0" || sign(text) === 0) return rounded(text, 2);
  const zeros = /^0*/.exec(found.rest)[0].length;
  return rounded(text, Math.min(Math.max(2, zeros + 2), 12));
}

// Places by magnitude, without trailing zeros beyond two.
export function price(text) {
  const found = parts(text);
  if (!found) return "–";
  const zeros = /^0*/.exec(found.rest)[0].length;
  const places = found.whole.length >= 4 ? 2 : found.whole !== "0" ? 4 : Math.min(zeros + 5, 14);
  return trimmed(rounded(text, places), 2);
}

// A quantity: at most eight places, without trailing zeros.
export function amount(text) {
  return trimmed(rounded(text, 8), 0);
}

function trimmed(shown, least) {
  const at = shown.indexOf(".");
  if (at < 0) return shown;
  let end = shown.length;
  while (end > at + 1 + least && shown[end - 1] === "0") end -= 1;
  return shown.slice(0, end === at + 1 ? at : end);
}

// A fraction as percent with two places: 0.0123 is 1.23 %.
export function percent(text) {
  const found = parts(text);
  if (!found) return "–";
  const rest = found.rest.padEnd(2, "0");
  const shifted = (found.isNegative ? "-" : "") + (found.whole + rest.slice(0, 2)).replace(/^0+(?=\d)/, "");
  return rounded(`${shifted}.${rest.slice(2) || "0"}`, 2) + " %";
}

// Sign, arrow and colour of a profit or loss; never the colour alone.
export function pnl(text, show = money) {
  const direction = sign(text);
  if (direction === null) return { text: "–", arrow: "", tone: "" };
  if (direction === 0) return { text: show(text), arrow: "", tone: "" };
  const shown = show(text);
  return direction > 0 ? { text: "+" + shown, arrow: "▲", tone: "up" } : { text: shown, arrow: "▼", tone: "down" };
}

export function isoSeconds(date) {
  return date.toISOString().slice(0, 19).replace("T", " ") + "Z";
}

// UTC first; the viewer's own time on hover.
export function moment(text) {
  if (!text) return { text: "–", title: "unknown" };
  const date = new Date(text);
  return { text: isoSeconds(date), title: `${isoSeconds(date)}\n${date.toLocaleString()} here` };
}

export function clock(text) {
  return text ? new Date(text).toISOString().slice(11, 19) + "Z" : "–";
}

// "8 s", "3 min", "2 h", "5 d".
export function age(seconds) {
  if (seconds === null || Number.isNaN(seconds)) return "–";
  const whole = Math.max(0, Math.floor(seconds));
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min`;
  if (whole < 172800) return `${Math.floor(whole / 3600)} h`;
  return `${Math.floor(whole / 86400)} d`;
}
