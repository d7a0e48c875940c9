"use strict";
// Sorting and filtering of the layer tables, definitions beside their words. Everything is on the page already: without
// this it can still be read.
(() => {
  const CHUNK = 100; // rows in one body; bodies out of sight are not laid out
  const words = new Intl.Collator(undefined, { numeric: true });

  /** Each row with what it is sorted and searched by; read once, at the first use. */
  function readRows(table) {
    return [...table.querySelectorAll("tbody:not(.rest) tr")].map((row) => {
      const cells = row.cells;
      const [name, type, unit] = [cells[1].textContent, cells[2].textContent, cells[3].textContent];
      return {
        row, name, type, unit,
        number: Number(cells[0].textContent.replace(/,/g, "")),
        time: Number(row.dataset.t),
        share: Number(row.dataset.t),
        output: Number(row.dataset.o),
        ...Object.fromEntries(Object.entries(row.dataset).map(([key, value]) => [key, Number(value)])),
        text: `${name} ${type} ${unit}`.toLowerCase(),
      };
    });
  }

  /** Lays the rows out again, in chunks of a hundred. */
  function show(table, rows) {
    const bodies = [];
    for (let start = 0; start < rows.length || start === 0; start += CHUNK) {
      const body = document.createElement("tbody");
      body.append(...rows.slice(start, start + CHUNK).map((item) => item.row));
      bodies.push(body);
    }
    const rest = table.querySelector("tbody.rest"); // where a page still awaits the other rows
    for (const old of [...table.tBodies]) if (old !== rest) old.remove();
    table.append(...bodies, ...(rest ? [rest] : []));
    table.closest(".box").scrollTop = 0;
  }

  function sorted(rows, key, direction) {
    const sign = direction === "ascending" ? 1 : -1;
    const compare = typeof rows[0][key] === "number"
      ? (a, b) => sign * (a[key] - b[key])
      : (a, b) => sign * words.compare(a[key], b[key]);
    return [...rows].sort((a, b) => compare(a, b) || a.number - b.number);
  }

  function equip(table) {
    let rows = null;
    const tools = table.closest(".box").previousElementSibling;
    const input = tools.querySelector("input");
    const count = tools.querySelector(".count");
    const number = new Intl.NumberFormat("en");
    const said = { all: "{count} layers", some: "{found} of {count} layers", none: "no layer matches", ...tools.dataset };
    const layers = (words, found, all) => words.replace("{found}", number.format(found)).replace("{count}", number.format(all));

    function refresh() {
      rows ??= readRows(table);
      const wanted = input.value.trim().toLowerCase().split(/\s+/);
      const found = rows.filter((item) => wanted.every((word) => item.text.includes(word)));
      show(table, found);
      count.textContent = layers(found.length ? said.some : said.none, found.length, rows.length);
    }

    function sortBy(head) {
      rows ??= readRows(table);
      const key = head.dataset.key;
      const first = ["number", "name", "type", "unit"].includes(key) ? "ascending" : "descending";
      const now = head.getAttribute("aria-sort");
      const next = !now ? first : now === "ascending" ? "descending" : "ascending";
      for (const other of table.querySelectorAll("th[aria-sort]")) other.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", next);
      rows = sorted(rows, key, next);
      refresh();
    }

    for (const head of table.querySelectorAll("th[data-key]")) {
      const button = document.createElement("button");
      button.type = "button";
      button.append(...head.childNodes);
      head.append(button);
      button.addEventListener("click", () => sortBy(head));
    }
    let waiting = 0;
    input.addEventListener("input", () => {
      cancelAnimationFrame(waiting);
      waiting = requestAnimationFrame(refresh);
    });
    const tell = () => {
      const all = table.querySelectorAll("tbody:not(.rest) tr").length;
      count.textContent = layers(said.all, all, all);
    };
    new MutationObserver((changes) => {
      if (!changes.some((change) => [...change.removedNodes].some((node) => node.classList?.contains("rest") && !node.isConnected))) return;
      const head = rows && table.querySelector("th[aria-sort]"); // the rest is here: what was sorted or sought takes it in
      rows = null;
      tell();
      if (head) rows = sorted(readRows(table), head.dataset.key, head.getAttribute("aria-sort"));
      if (head || input.value) refresh();
    }).observe(table, { childList: true });
    tell();
    tools.hidden = false;
  }

  /** The first sentence of a word's definition beside it, on hover and on focus; Escape puts it away. */
  function explain(tip) {
    const edge = 8; // pixels that are left free around it
    let waiting = 0;

    function hide() {
      clearTimeout(waiting);
      tip.hidden = true;
      for (const link of document.querySelectorAll("a[aria-describedby=tip]")) link.removeAttribute("aria-describedby");
    }

    function show(link) {
      hide();
      tip.textContent = link.dataset.tip;
      tip.hidden = false;
      link.setAttribute("aria-describedby", "tip");
      const place = link.getBoundingClientRect();
      const below = place.bottom + edge + tip.offsetHeight < innerHeight;
      tip.style.left = `${Math.max(edge, Math.min(place.left, document.documentElement.clientWidth - tip.offsetWidth - edge))}px`;
      tip.style.top = `${below ? place.bottom + 4 : Math.max(edge, place.top - tip.offsetHeight - 4)}px`;
    }

    function later(what, ms) {
      clearTimeout(waiting);
      waiting = setTimeout(what, ms);
    }

    for (const link of document.querySelectorAll("a.term")) {
      link.dataset.tip = link.title;
      link.removeAttribute("title");
      link.addEventListener("pointerenter", (event) => event.pointerType === "mouse" && later(() => show(link), 250));
      link.addEventListener("pointerleave", () => later(hide, 200));
      link.addEventListener("focus", () => link.matches(":focus-visible") && show(link));
      link.addEventListener("blur", hide);
      link.addEventListener("click", hide);
    }
    tip.addEventListener("pointerenter", () => clearTimeout(waiting));
    tip.addEventListener("pointerleave", () => later(hide, 200));
    addEventListener("keydown", (event) => event.key === "Escape" && hide());
    addEventListener("scroll", () => {
      if (tip.hidden) return;
      const link = document.activeElement; // where the focus went, the page may have to scroll to
      if (link?.getAttribute("aria-describedby") === "tip") show(link); else hide();
    }, { passive: true });
  }

  /** From a definition back to the word that led to it. */
  function leadBack() {
    let origin = null;
    document.addEventListener("click", (event) => {
      const link = event.target.closest("a.term, a.back");
      if (!link) return;
      if (link.classList.contains("term")) {
        origin = link;
        for (const back of document.querySelectorAll("a.back")) back.textContent = "↩ back";
      } else if (origin) {
        event.preventDefault();
        addEventListener("popstate", () => requestAnimationFrame(() => origin.focus()), { once: true });
        history.back();
      }
    });
  }

  document.querySelectorAll("table.layers").forEach(equip);
  explain(document.getElementById("tip"));
  leadBack();
})();
