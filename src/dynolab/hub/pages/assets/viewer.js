"use strict";
// All that the graph's page knows of Netron's inside (netron 9.3, its view.js): nothing else touches it. A Netron whose
// inside differs still draws; `open` then gives no nodes.
const netron = (() => {
  const SMALL = 0.5; // the least zoom for the sake of the whole graph
  const NARROW = 0.75; // and for its whole width
  const EDGE = 24; // pixels left free above the first node
  const STRIP = 8; // pixels of a node's colour beside it
  const OURS = "table"; // where a selection comes from, beside Netron's "target" and "sidebar"
  const SVG = "http://www.w3.org/2000/svg";

  /** The frame's window once Netron's page is in it. */
  function loaded(frame) {
    const there = () => frame.contentDocument?.readyState === "complete" && frame.contentWindow.location.href !== "about:blank";
    if (there()) return Promise.resolve(frame.contentWindow);
    return new Promise((resolve) => frame.addEventListener("load", () => resolve(frame.contentWindow), { once: true }));
  }

  /** What Netron came to: `drawn`, or what it says instead (empty: nothing); null while it is at it. */
  function outcome(window) {
    const { body } = window.document;
    const said = window.document.getElementById("message-text");
    if (!said) return { drawn: false, said: "" };
    const is = (name) => body.classList.contains(name);
    if (is("default")) return { drawn: Boolean(window.document.getElementById("canvas")), said: "" };
    if (is("alert") || is("message")) return { drawn: false, said: said.textContent.trim() };
    return is("welcome") && !is("spinner") && !is("notification") ? { drawn: false, said: "" } : null;
  }

  function settled(window) {
    return new Promise((resolve) => {
      const look = () => {
        const found = outcome(window);
        if (found) observer.disconnect();
        if (found) resolve(found);
      };
      const observer = new MutationObserver(look);
      observer.observe(window.document.body, { attributes: true, attributeFilter: ["class"] });
      look();
    });
  }

  let last = document.activeElement === document.body ? null : document.activeElement; // what had the focus on our own page
  document.addEventListener("focusin", ({ target }) => { if (target.localName !== "iframe") last = target; });

  /** Netron takes the focus whenever it has drawn: it goes back to where it was, unless a hand led it there. */
  function keepFocus(frame, window) {
    let inFrame = false;
    document.addEventListener("keydown", (event) => { inFrame = event.key === "Tab"; }, true);
    document.addEventListener("pointerdown", () => { inFrame = false; }, true);
    for (const kind of ["pointerdown", "keydown"]) window.addEventListener(kind, () => { inFrame = true; }, true);
    const back = () => {
      if (inFrame || !window.document.hasFocus()) return;
      if (last?.isConnected && last !== frame) last.focus({ preventScroll: true });
      else frame.blur();
    };
    window.addEventListener("focus", () => setTimeout(back), true); // once it has moved
    back();
  }

  /** The nodes of a graph and of the graphs inside its nodes, each with the graph that it stands in. */
  function gather(graph, found) {
    for (const node of graph.nodes) {
      const values = (node.outputs ?? []).flatMap((output) => output.value ?? []);
      const outputs = values.map((value) => value.name.split("\n")[0]).filter(Boolean); // a TFLite tensor's number follows
      found.push({ inside: node, graph, name: node.name || "", type: node.type.name, outputs });
      for (const argument of [...(node.attributes ?? []), ...(node.inputs ?? []), ...(node.blocks ?? [])]) {
        if (argument.type === "graph" && Array.isArray(argument.value?.nodes)) gather(argument.value, found);
      }
    }
    return found;
  }

  /** The nodes, if all is there that is used below; null for another Netron. */
  function nodesOf(view) {
    const able = (owner, ...names) => names.every((name) => typeof owner?.[name] === "function");
    if (!able(view, "pushTarget", "popTarget") || !able(view.target, "select", "activate", "scrollTo", "find", "on")) return null;
    if (!view.target.selection?.[Symbol.iterator] || typeof view.target.zoom !== "number") return null;
    const found = gather(view.activeTarget, []);
    const first = found.find((node) => node.graph === view.activeTarget);
    return first && view.target.find(first.inside)?.element ? found : null;
  }

  function linked(window, nodes) {
    const { document: inner, __view__: view } = window;
    const byInside = new Map(nodes.map((node) => [node.inside, node]));
    const bound = new WeakSet();
    let heat = new Map();
    let tell = () => {};
    let waiting = 0;

    function selected(_, source) {
      clearTimeout(waiting); // a selection comes as several: of nothing, then of what was chosen
      if (source === OURS) return;
      waiting = setTimeout(() => tell([...(view.target?.selection ?? [])].map((one) => byInside.get(one.value)).filter(Boolean)));
    }

    function paint() {
      for (const [node, { colour, text }] of heat) {
        const element = view.target?.find(node.inside)?.element;
        if (!element || element.querySelector(":scope > .heat")) continue;
        const box = element.getBBox();
        const strip = inner.createElementNS(SVG, "rect"); // beside it: around it, it would hide the edges' arrowheads
        const sizes = { x: box.x - STRIP - 2, y: box.y, width: STRIP, height: box.height, rx: 2 };
        for (const [name, value] of Object.entries({ class: "heat", fill: colour, ...sizes })) strip.setAttribute(name, value);
        const title = strip.appendChild(inner.createElementNS(SVG, "title"));
        title.textContent = text;
        element.prepend(strip);
      }
    }

    /** Netron makes a new drawing for every graph that is entered and every option that is changed. */
    function follow() {
      if (view.target && !bound.has(view.target)) {
        bound.add(view.target);
        view.target.on("selectionchange", selected);
      }
      paint();
    }

    async function enter(graph) {
      while (view.activeTarget !== graph && (await view.popTarget()));
      if (view.activeTarget !== graph) await view.pushTarget(graph, null);
    }

    new MutationObserver(follow).observe(inner.body, { attributes: true, attributeFilter: ["class"] });
    follow();
    return {
      nodes,
      /** Selects these nodes and brings them into sight; none: selects nothing. */
      async show(wanted) {
        if (!wanted.length) return view.target.select(null, OURS);
        const { graph } = wanted[0];
        await enter(graph);
        const chosen = wanted.filter((node) => node.graph === graph).map((node) => node.inside);
        if (inner.getElementById("sidebar")?.style.opacity === "1") view.target.activate(chosen[0], OURS); // what is open tells of it
        const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
        return view.target.scrollTo(view.target.select(chosen, OURS), still ? "instant" : "smooth");
      },
      onSelect(callback) { tell = callback; },
      heat(found) { heat = found; paint(); },
      /** The whole graph where it is small, else its first node, at the top in the middle. */
      fit() {
        const place = inner.getElementById("target");
        const canvas = inner.getElementById("canvas");
        const { width, height } = canvas.viewBox.baseVal;
        const across = place.clientWidth / width;
        const whole = Math.min(across, place.clientHeight / height);
        view.target.zoom = Math.min(1, whole >= SMALL ? whole : across >= NARROW ? across : 1);
        if (whole >= SMALL) return;
        const first = canvas.querySelector(".graph-input") ?? canvas.querySelector(".graph-node");
        const middle = () => { const box = first.getBoundingClientRect(); return box.left + box.width / 2 + place.scrollLeft; };
        const half = place.clientWidth / 2;
        if (across < 1) { // at an edge of the drawing there is nothing yet to scroll to
          canvas.style.marginRight = `${Math.max(0, half - (place.scrollWidth - middle()))}px`;
          canvas.style.marginLeft = `${Math.max(0, half - middle())}px`;
        }
        place.scrollTo({ left: middle() - half, top: place.scrollTop + first.getBoundingClientRect().top - EDGE, behavior: "instant" });
      },
    };
  }

  /** What became of the file in the frame: `drawn`, `said` where it was not, and `graph` where its nodes can be shown. */
  async function open(frame) {
    const window = await loaded(frame);
    if (!window.document) return { drawn: false, said: "", graph: null };
    keepFocus(frame, window);
    const found = await settled(window);
    let graph = null;
    try {
      const nodes = found.drawn ? nodesOf(window.__view__) : null;
      graph = nodes && linked(window, nodes);
    } catch (error) {
      if (!(error instanceof window.TypeError || error instanceof TypeError)) throw error; // something is not where it was
    }
    return { ...found, graph };
  }

  return { open };
})();
