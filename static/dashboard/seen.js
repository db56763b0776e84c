// Whoever reads and clicks here is there: the session is told at most once a minute, and never by the page itself.

const EVERY_MS = 60000;

export function tellWhenUsed(address, token) {
  let told = Date.now();
  const tell = () => {
    if (Date.now() - told < EVERY_MS) return;
    told = Date.now();
    fetch(address, { method: "POST", headers: { "X-CSRFToken": token }, credentials: "same-origin" }).catch(() => {});
  };
  for (const event of ["pointerdown", "keydown", "wheel"]) document.addEventListener(event, tell, { passive: true });
}
