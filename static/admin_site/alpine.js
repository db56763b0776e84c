// Lets the admin's Alpine run without evaluating text: its strict build reads simple expressions only and knows no
// global names, so what the theme's pages need beyond that is given to it here, before it starts.
(function () {
  "use strict";

  const COMPONENTS = ["searchForm", "searchCommand"];
  // Statements and arrow functions become calls of what is below; a style goes through the object model, not through text.
  const REWRITTEN = {
    "x-on:click": { "localStorage.setItem('sidebarDesktopOpen'": "sidebarDesktopOpen = !sidebarDesktopOpen" },
    "x-bind:style": { "'width: ' + changeListWidth + 'px'": "{ width: changeListWidth + 'px' }" },
  };

  const kept = {
    getItem: function (name) { return window.localStorage.getItem(name); },
    setItem: function (name, value) { window.localStorage.setItem(name, value); },
  };

  function rewrite(name, changes) {
    const attribute = CSS.escape(name);
    for (const [text, expression] of Object.entries(changes)) {
      document.querySelectorAll(`[${attribute}*="${text.replaceAll('"', '\\"')}"]`).forEach(function (element) {
        element.setAttribute(name, expression);
      });
    }
  }

  function startBody() {
    const first = /activeTab: '([^']*)'/.exec(document.body.getAttribute("x-data") || "");
    document.body.setAttribute("x-data", "shell");
    document.body.removeAttribute("x-init");
    window.Alpine.data("shell", function () {
      return {
        activeTab: first ? window.getCurrentTab() || first[1] : "",
        sidebarMobileOpen: false,
        sidebarDesktopOpen: kept.getItem("sidebarDesktopOpen") !== "0",
        init: function () {
          this.$watch("sidebarDesktopOpen", function (isOpen) {
            kept.setItem("sidebarDesktopOpen", isOpen ? "1" : "0");
          });
        },
      };
    });
  }

  document.addEventListener("alpine:init", function () {
    const { pathname, search } = window.location;
    window.Alpine.data("theme", function (chosen) {
      return Object.assign(window.theme(chosen), { window: { location: { pathname: pathname, search: search } } });
    });
    COMPONENTS.forEach(function (name) {
      window.Alpine.data(name, window[name]);
    });
    for (const [name, changes] of Object.entries(REWRITTEN)) {
      rewrite(name, changes);
    }
    startBody();
  });

  // It would write its indicator's style into the page, and evaluate the conditions of its triggers.
  if (window.htmx) {
    window.htmx.config.includeIndicatorStyles = false;
    window.htmx.config.allowEval = false;
  }
})();
