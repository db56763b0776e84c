// Dark, light or as the system says, remembered in this browser. Runs before the first paint.
(() => {
  const KEY = "tradingdb-theme";
  const ORDER = ["system", "light", "dark"];
  const system = window.matchMedia("(prefers-color-scheme: dark)");

  const chosen = () => {
    try {
      const word = localStorage.getItem(KEY);
      return ORDER.includes(word) ? word : "system";
    } catch {
      return "system";
    }
  };

  const show = () => {
    const word = chosen();
    const isDark = word === "dark" || (word === "system" && system.matches);
    document.documentElement.dataset.theme = isDark ? "dark" : "light";
    const label = document.querySelector("#theme span");
    if (label) label.textContent = word;
    document.dispatchEvent(new CustomEvent("theme"));
  };

  window.nextTheme = () => {
    const next = ORDER[(ORDER.indexOf(chosen()) + 1) % ORDER.length];
    try {
      localStorage.setItem(KEY, next);
    } catch {
      // A browser that keeps nothing shows the system's theme.
    }
    show();
  };

  system.addEventListener("change", show);
  document.addEventListener("DOMContentLoaded", show);
  show();
})();
