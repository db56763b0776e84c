// The connection to /ws/live/: it comes back by itself, and says what it is doing.

const SIGNED_OUT = 4401;
const RESTART = 1012;
const FIRST_WAIT = 500;
const LONGEST_WAIT = 30000;
// The server pings every 15 s; a line that is silent for longer is dead, whatever the system says.
const LONGEST_SILENCE = 20000;

export class Connection extends EventTarget {
  constructor(query) {
    super();
    this.query = query;
    this.socket = null;
    this.state = "connecting";
    this.failures = 0;
    this.retryAt = null;
    this.timer = null;
    this.heardAt = 0;
    const again = () => this.tryNow();
    window.addEventListener("online", again);
    window.addEventListener("focus", again);
    window.addEventListener("offline", () => this.drop());
    document.addEventListener("visibilitychange", () => document.hidden || again());
    setInterval(() => this.checkSilence(), 1000);
  }

  open() {
    this.close();
    this.set("connecting");
    const scheme = location.protocol === "https:" ? "wss" : "ws";
    const socket = new WebSocket(`${scheme}://${location.host}/ws/live/${this.query()}`);
    this.socket = socket;
    this.heardAt = Date.now();
    socket.addEventListener("message", (event) => {
      if (socket !== this.socket) return;
      this.heardAt = Date.now();
      this.failures = 0;
      this.set("live");
      this.dispatchEvent(new CustomEvent("message", { detail: JSON.parse(event.data) }));
    });
    socket.addEventListener("close", (event) => socket === this.socket && this.closed(event.code));
  }

  close() {
    clearTimeout(this.timer);
    const socket = this.socket;
    this.socket = null;
    socket?.close();
  }

  // Ask for the whole view: a message is missing.
  resync() {
    if (this.socket?.readyState === WebSocket.OPEN) this.socket.send(JSON.stringify({ type: "resync" }));
  }

  closed(code) {
    this.socket = null;
    if (code === SIGNED_OUT) {
      this.set("signed-out");
      return;
    }
    this.failures += 1;
    // A deploy announces itself and is over in a moment.
    const most = code === RESTART ? FIRST_WAIT : Math.min(LONGEST_WAIT, FIRST_WAIT * 2 ** this.failures);
    const wait = most / 2 + (Math.random() * most) / 2;
    if (this.failures === 3) this.checkSession();
    this.retryAt = Date.now() + wait;
    this.set(navigator.onLine ? "waiting" : "offline");
    this.timer = setTimeout(() => this.open(), wait);
  }

  // A refused handshake looks like a dead network; ask whether the session is over.
  async checkSession() {
    try {
      const answer = await fetch("/", { method: "HEAD", redirect: "manual", cache: "no-store" });
      if (answer.type === "opaqueredirect") {
        this.close();
        this.set("signed-out");
      }
    } catch {
      // The network it is; the next try comes by itself.
    }
  }

  tryNow() {
    if (this.state === "waiting" || this.state === "offline") this.open();
  }

  drop() {
    if (this.socket || this.state === "waiting") {
      this.close();
      this.closed(0);
    }
  }

  checkSilence() {
    if (this.socket && Date.now() - this.heardAt > LONGEST_SILENCE) this.drop();
  }

  set(state) {
    if (state === this.state) return;
    this.state = state;
    this.dispatchEvent(new CustomEvent("state", { detail: state }));
  }
}
