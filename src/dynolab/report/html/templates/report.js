"use strict";
// Sorting and filtering of the layer tables. Everything is on the page already: without this it can still be read.
(() => {
  const CHUNK = 100; // rows in one body; bodies out of sight are not laid out
  const words = new Intl.Collator(undefined, { numeric: true });

  /** Each row with what it is sorted and searched by; read once, at the first use. */
  function readRows(table) {
    return [...table.querySelectorAll("tbody tr")].map((row) => {
      const cells = row.cells;
      const [name, type, unit] = [cells[1].textContent, cells[2].textContent, cells[3].textContent];
      return {
        row, name, type, unit,
        number: Number(cells[0].textContent.replace(/,/g, "")),
        time: Number(row.dataset.t),
        output: Number(row.dataset.o),
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
    for (const old of [...table.tBodies]) old.remove();
    table.append(...bodies);
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

    function refresh() {
      rows ??= readRows(table);
      const wanted = input.value.trim().toLowerCase().split(/\s+/);
      const found = rows.filter((item) => wanted.every((word) => item.text.includes(word)));
      show(table, found);
      count.textContent = `${number.format(found.length)} of ${number.format(rows.length)} layers`;
    }

    function sortBy(head) {
      rows ??= readRows(table);
      const key = head.dataset.key;
      const first = key === "time" || key === "output" ? "descending" : "ascending";
      const now = head.getAttribute("aria-sort");
      const next = !now ? first : now === "ascending" ? "descending" : "ascending";
      for (const other of table.querySelectorAll("th[aria-sort]")) other.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", next);
      rows = sorted(rows, key, next);
      refresh();
    }

    for (const head of table.querySelectorAll("th[data-key]:not([data-plain])")) {
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
    count.textContent = `${number.format(table.querySelectorAll("tbody tr").length)} layers`;
    tools.hidden = false;
  }

  document.querySelectorAll("table.layers").forEach(equip);
})();
