// Times stand in UTC; the title adds the reader's own time. Buttons with data-copies copy a text.
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

  document.addEventListener("DOMContentLoaded", function () {
    addLocalTimes(document);
    document.addEventListener("click", copyOnClick);
  });
})();
