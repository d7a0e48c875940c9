"use strict";
// What the pages do beyond htmx: say when the hub is away, ask before something is deleted, close menus, copy.
(() => {
  const offline = document.getElementById("offline");
  addEventListener("offline", () => { offline.hidden = false; });
  document.addEventListener("htmx:error", () => { offline.hidden = false; });
  document.addEventListener("htmx:after:request", (event) => {
    offline.hidden = (event.detail.ctx.response?.status ?? 200) < 500;
  });

  document.addEventListener("submit", (event) => {
    const question = event.target.dataset.sure;
    if (question && !confirm(question)) event.preventDefault();
  });

  document.addEventListener("click", (event) => {
    for (const menu of document.querySelectorAll("details.menu[open]")) {
      if (!menu.contains(event.target)) menu.open = false;
    }
  });
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    for (const menu of document.querySelectorAll("details.menu[open]")) {
      menu.open = false;
      menu.querySelector("summary").focus();
    }
  });

  for (const button of document.querySelectorAll("button[data-copy]")) {
    const source = document.getElementById(button.dataset.copy);
    button.hidden = false;
    button.addEventListener("click", async () => {
      const select = () => (source.select ? source.select() : getSelection().selectAllChildren(source));
      try {
        await navigator.clipboard.writeText(source.value ?? source.textContent);
        button.textContent = button.dataset.copied;
      } catch {
        select();  // not allowed, or not over HTTPS: the text is marked, for the person to copy
      }
    });
  }
})();
