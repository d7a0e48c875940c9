"use strict";
// The graph's page: a layer chosen in the table is shown in the graph, a node chosen in the graph is found in the table,
// and nodes are coloured by their share of the time. What it knows of the viewer is in viewer.js.
(() => {
  const frame = document.getElementById("graph");
  const table = document.querySelector(".beside table.layers");
  const state = document.getElementById("graph-state");
  const legend = document.getElementById("heat");
  const words = state.dataset;
  const said = (text, values = {}) => text.replace(/\{(\w+)\}/g, (whole, name) => values[name] ?? whole);
  const STEPS = [0.01, 0.03, 0.1, 0.3];
  const rows = [...(table?.querySelectorAll("tbody tr") ?? [])].map((row) => {
    const [number, , type, , time, share] = [...row.cells].map((cell) => cell.textContent);
    return { row, link: row.querySelector("a"), name: row.dataset.layer, names: JSON.parse(row.dataset.names), ns: Number(row.dataset.t), number, type, time, share };
  });
  let graph = null;
  let chosen = rows.filter(({ link }) => link.hasAttribute("aria-current"));

  // ---- which nodes a layer is: by exact names only

  const plain = (type) => type.replace(/_/g, "").toLowerCase(); // CONV_2D is Conv2D

  function finder(nodes) {
    const index = (keys) => {
      const found = new Map();
      for (const node of nodes) for (const key of new Set(keys(node))) found.set(key, found.has(key) ? null : node);
      return found;
    };
    const rules = { name: index((node) => (node.name ? [node.name] : [])), output: index((node) => node.outputs) };
    const one = (name) => {
      const by = Object.keys(rules).find((rule) => rules[rule].has(name));
      return by && rules[by].get(name) ? { nodes: [rules[by].get(name)], by } : null; // two that bear it: neither
    };
    // The names that it may be found under come from the hub, surest first (dynolab.spec.layer_names).
    return ({ names: groups }) => {
      for (const [place, names] of groups.entries()) {
        const found = names.map(one).filter(Boolean);
        if (found.length && names.length > 1) return { nodes: [...new Set(found.flatMap(({ nodes }) => nodes))], by: "list" };
        if (found.length) return place ? { ...found[0], by: `${found[0].by}, suffix` } : found[0];
      }
      return { nodes: [], by: "" };
    };
  }

  // ---- what is said

  const LONG = 80; // characters of a name; its end tells most
  const cropped = (name) => (name.length > LONG ? `${name.slice(0, LONG / 4)}…${name.slice(1 - (3 * LONG) / 4)}` : name);
  const nodeName = (node) => [node.type, cropped(node.name || node.outputs[0] || "")].filter(Boolean).join(" ");

  function tellLayer({ number, name, type, nodes, by }) {
    if (!nodes.length) return said(words.absent, { number, name: cropped(name) });
    const text = said(words.shown, { number, type, nodes: nodes.map(nodeName).join(", ") });
    const fused = by.startsWith("output") && plain(nodes[0].type) !== plain(type);
    return fused ? `${text} ${said(words.fused, { type })}` : text;
  }

  function tellNode(node, found) {
    if (!found.length) return said(words.layerless, { node: nodeName(node) });
    const layers = found.map(({ number, time, share }) => said(words.layer, { number, time, share })).join("; ");
    return said(words.node, { node: nodeName(node), layers });
  }

  /** In place of the frame: that nothing is drawn, and what the viewer says of it, in English. */
  function tellUndrawn(reason) {
    frame.hidden = true;
    state.classList.add("notice", "loud");
    const quoted = Object.assign(document.createElement("span"), { lang: "en", textContent: reason });
    const [before, after] = words.unreadable.split("{reason}");
    state.replaceChildren(...(reason ? [before, quoted, after] : [words.undrawn]));
  }

  // ---- choosing

  function mark(found) {
    for (const { row, link } of chosen) row.classList.remove("picked"), link.removeAttribute("aria-current");
    chosen = found;
    for (const { row, link } of chosen) row.classList.add("picked"), link.setAttribute("aria-current", "true");
    if (chosen.length) bringIntoSight(chosen[0].row);
  }

  function bringIntoSight(row) {
    const box = table.closest(".box");
    if (!row.isConnected) { // sought away: the search gives way
      const search = box.previousElementSibling.querySelector("input");
      search.value = "";
      search.dispatchEvent(new Event("input"));
      requestAnimationFrame(() => requestAnimationFrame(() => row.isConnected && bringIntoSight(row)));
      return;
    }
    const [place, whole] = [row.getBoundingClientRect(), box.getBoundingClientRect()];
    const top = whole.top + table.tHead.offsetHeight;
    if (place.top < top || place.bottom > whole.bottom) box.scrollTop += place.top - top - (whole.bottom - top - place.height) / 2;
  }

  async function choose(found) {
    mark([found]);
    history.replaceState(null, "", found.link.href);
    if (!graph) return;
    if (matchMedia("(max-width: 60rem)").matches) frame.scrollIntoView({ block: "nearest" });
    try {
      await graph.show(found.nodes);
      state.textContent = tellLayer(found);
    } catch (error) {
      graph = null;
      state.textContent = words.different;
      console.error(error);
    }
  }

  table?.addEventListener("click", (event) => {
    const row = event.target.closest("tbody tr");
    if (!row || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
    event.preventDefault();
    choose(rows.find((one) => one.row === row));
  });

  // ---- the graph is there

  function colour(byNode) {
    const total = Number(table.dataset.total);
    const swatches = [...legend.querySelectorAll(".key")].map((key) => getComputedStyle(key).backgroundColor);
    const heat = [...byNode].map(([node, found]) => {
      const share = found.reduce((sum, one) => sum + one.ns, 0) / total;
      return [node, { colour: swatches[STEPS.filter((step) => share >= step).length], text: tellNode(node, found) }];
    });
    graph.heat(new Map(heat));
    legend.hidden = false;
  }

  function link() {
    const find = finder(graph.nodes);
    const byNode = new Map();
    for (const one of rows) {
      Object.assign(one, find(one));
      one.row.dataset.rule = one.by;
      if (!one.nodes.length) one.link.after(Object.assign(document.createElement("small"), { textContent: words.nameless }));
      for (const node of one.nodes) byNode.set(node, [...(byNode.get(node) ?? []), one]);
    }
    const found = rows.filter(({ nodes }) => nodes.length).length;
    state.textContent = said(found ? words.linked : words.unlinked, { found, count: rows.length });
    graph.onSelect((nodes) => {
      if (!nodes.length) return;
      mark(byNode.get(nodes[0]) ?? []);
      state.textContent = tellNode(nodes[0], byNode.get(nodes[0]) ?? []);
    });
    if (found && !table.classList.contains("disturbed")) colour(byNode);
  }

  async function start() {
    const found = await netron.open(frame);
    graph = found.graph;
    if (!found.drawn) {
      tellUndrawn(found.said);
    } else if (!graph) {
      state.textContent = rows.length ? words.different : "";
    } else {
      graph.fit();
      if (rows.length) link();
      if (chosen.length) choose(chosen[0]);
    }
  }
  start();
})();
