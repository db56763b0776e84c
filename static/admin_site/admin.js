// Times stand in UTC; the title adds the reader's own time. Buttons with data-copies copy a text. One menu is open.
(function () {
  "use strict";

  function addLocalTimes(root) {
    root.querySelectorAll("time.moment[datetime*='T']").forEach(function (element) {
      if (element.dataset.local) {
        return;
      }
      const moment = new Date(element.dateTime);
      if (!Number.isNaN(moment.getTime())) {
        element.dataset.local = "1";
        element.title += "\n" + moment.toLocaleString(undefined, { timeZoneName: "short" });
      }
    });
  }

  function copyOnClick(event) {
    const button = event.target.closest("button[data-copies]");
    if (!button) {
      return;
    }
    const source = document.getElementById(button.dataset.copies);
    navigator.clipboard.writeText(source.textContent.trim()).then(
      function () {
        button.textContent = "Copied";
      },
      function () {
        // Without permission to write the clipboard the text is at least selected.
        window.getSelection().selectAllChildren(source);
      }
    );
  }

  function closeMenus(except) {
    document.querySelectorAll("details.menu[open]").forEach(function (menu) {
      if (menu !== except) {
        menu.open = false;
      }
    });
  }

  function closeOnEscape(event) {
    const menu = event.key === "Escape" && document.querySelector("details.menu[open]");
    if (menu) {
      closeMenus(null);
      menu.querySelector("summary").focus();
    }
  }

  document.addEventListener("DOMContentLoaded", function () {
    addLocalTimes(document);
    // The theme writes a file's name into a text box beside its input; ours have none.
    document.querySelectorAll("input[type=file]").forEach(function (input) {
      input.hasChangeListener = true;
    });
    document.addEventListener("click", copyOnClick);
    document.addEventListener("click", function (event) {
      closeMenus(event.target.closest("details.menu"));
    });
    document.addEventListener("keydown", closeOnEscape);
  });
})();
