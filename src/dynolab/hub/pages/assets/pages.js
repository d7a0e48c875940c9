"use strict";
// What the pages do beyond htmx: say when the hub is away, ask before something is done, close menus, select, copy.
(() => {
  const offline = document.getElementById("offline");
  addEventListener("offline", () => { offline.hidden = false; });
  document.addEventListener("htmx:error", () => { offline.hidden = false; });
  document.addEventListener("htmx:after:request", (event) => {
    offline.hidden = (event.detail.ctx.response?.status ?? 200) < 500;
  });

  // Before a form leaves the page, whether the hub is there: else the browser would put its own page in place of what was typed.
  const unsent = document.getElementById("unsent");
  const sound = new WeakSet();
  const asking = new WeakSet();
  const answers = () => fetch("/healthz", { cache: "no-store", signal: AbortSignal.timeout(5000) })
    .then((answer) => answer.status < 500, () => false);
  const until = async () => {
    while (!(await answers())) await new Promise((done) => { setTimeout(done, 2000); });
    offline.hidden = unsent.hidden = true;
  };
  document.addEventListener("submit", async (event) => {
    const { target: form, submitter } = event;
    if (sound.has(form) || form.matches("[hx-get], [hx-post], [method=dialog]")) return;
    event.preventDefault();
    event.stopImmediatePropagation();
    if (asking.has(form)) return;
    asking.add(form);
    const there = await answers();
    asking.delete(form);
    if (!there) {
      const waiting = !unsent.hidden;
      offline.hidden = unsent.hidden = false;
      if (!waiting) until();
      return;
    }
    sound.add(form);
    form.requestSubmit(submitter);
    sound.delete(form);
  }, true);

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

  // What a button with data-ask leads to is a page that asks; here it opens over the list, which goes on living.
  const dialog = document.getElementById("ask");
  document.addEventListener("submit", async (event) => {
    const button = event.submitter;
    if (!dialog || !button?.hasAttribute("data-ask")) return;
    event.preventDefault();
    const place = new URL(button.formAction);
    place.search = new URLSearchParams(new FormData(event.target));
    const answer = await fetch(place, { headers: { "HX-Request": "true" } }).catch(() => null);
    const elsewhere = answer?.headers.get("HX-Redirect");
    if (answer?.status !== 200) return location.assign(elsewhere ?? place);
    dialog.innerHTML = await answer.text();
    button.closest("[popover]")?.hidePopover();
    const menu = button.closest("details.menu");
    if (menu) {
      menu.open = false;
      menu.querySelector("summary").focus(); // where one is again when it is closed
    }
    dialog.showModal();
  });
  dialog?.addEventListener("click", (event) => {
    if (!event.target.closest("[data-close]")) return;
    event.preventDefault();
    dialog.close();
  });

  // The jobs that are selected in a list: how many, and all of them at once.
  const boxes = () => [...document.querySelectorAll("input[name=job][form=selected]")];
  const count = () => {
    const all = document.querySelector("input[data-all]");
    if (!all) return;
    const found = boxes().filter((box) => box.checked).length;
    all.checked = found > 0 && found === boxes().length;
    all.indeterminate = found > 0 && !all.checked;
    document.querySelector("[data-count]").textContent = found ? ` (${found})` : "";
  };
  document.addEventListener("change", (event) => {
    if (event.target.matches("input[data-all]")) for (const box of boxes()) box.checked = event.target.checked;
    count();
  });
  document.addEventListener("htmx:after:swap", count);
  addEventListener("pageshow", count);

  // Also of what comes in later.
  const offerCopying = () => {
    for (const button of document.querySelectorAll("button[data-copy]")) {
      button.hidden = false;
    }
  };
  offerCopying();
  document.addEventListener("htmx:after:swap", offerCopying);
  document.addEventListener("click", async (event) => {
    const button = event.target.closest("button[data-copy]");
    const source = button && document.getElementById(button.dataset.copy);
    if (!source) return;
    const select = () => (source.select ? source.select() : getSelection().selectAllChildren(source));
    try {
      await navigator.clipboard.writeText(source.value ?? source.textContent);
      button.textContent = button.dataset.copied;
    } catch {
      select();  // not allowed, or not over HTTPS: the text is marked, for the person to copy
    }
  });
})();
