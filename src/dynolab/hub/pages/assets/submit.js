"use strict";
// What the form that submits jobs does beyond a plain form: files go up in parts, can be dropped and given up, and the
// fields for options and their text follow each other.
(() => {
  const form = document.getElementById("submit");
  // Its fields are called by names such as `dataset`, which hide the properties of that name.
  const field = (name) => form.elements.namedItem(name);
  const KINDS = { model_file: "model", baseline_file: "baseline", dataset_file: "dataset" };
  const FOR = { baseline_file: ["compare"], dataset_file: ["inference", "quantize"] };
  const inputs = Object.keys(KINDS).map(field);
  let running = null;

  // ---- problems beside fields

  // Words are stretches of text, each with whether it stayed English; none: there is no problem.
  function fill(place, words) {
    place.replaceChildren(...words.map(({ text, english }) => {
      if (!english) return text;
      const span = document.createElement("span");
      span.lang = "en";
      span.textContent = text;
      return span;
    }));
  }

  function tell(name, words = []) {
    const place = document.getElementById(`problem-${name}`);
    if (!place) return false;
    fill(place, words);
    place.hidden = !words.length;
    const input = field(name);
    if (input instanceof Element) input.toggleAttribute("aria-invalid", Boolean(words.length));
    if (input instanceof Element && words.length) input.setAttribute("aria-invalid", "true");
    return true;
  }

  // All problems on top as well, in the same words, each with a link to its field.
  const summary = document.getElementById("problems");

  function list(sentence, problems) {
    summary.hidden = !problems.length;
    summary.querySelector("p").textContent = sentence;
    summary.querySelector("ul").replaceChildren(...problems.map(([name, words]) => {
      const [item, link] = [document.createElement("li"), document.createElement("a")];
      link.href = `#problem-${name}`;
      fill(link, words);
      item.append(link);
      return item;
    }));
  }

  function show(name, words) {
    tell(name, words);
    const place = document.getElementById(`problem-${name}`);
    for (let within = place; within; within = within.parentElement.closest("details")) {
      if (within.tagName === "DETAILS") within.open = true;
    }
    place.scrollIntoView({ block: "center" });
    const input = field(name);
    if (input instanceof HTMLElement) input.focus({ preventScroll: true });
  }

  // ---- options: fields and text say the same

  const optionFields = [...form.elements].filter((one) => one.name.startsWith("option."));
  const text = field("options");
  const was = field("was");
  let asked = 0;
  let timer = 0;

  function typed() {
    const found = new URLSearchParams();
    for (const [name, value] of new FormData(form)) {
      if (typeof value === "string" && (value || name === "kind")) found.append(name, value);
    }
    return found;
  }

  // A list gets what it does not offer, and the text does.
  function assign(one, value) {
    if (one.options && value && ![...one.options].some((known) => known.value === value)) one.append(new Option(value));
    one.value = value;
  }

  async function follow() {
    const number = ++asked;
    const answer = await fetch(`/submit/check?${typed()}`).catch(() => null);
    if (!answer || !answer.ok || number !== asked) return;
    const told = await answer.json();
    for (const one of [...optionFields, text]) tell(one.name, told.problems[one.name]);
    if (Object.keys(told.problems).length) return;
    for (const one of optionFields) if (one !== document.activeElement) assign(one, told.values[one.name] || "");
    if (text !== document.activeElement) text.value = told.options;
    was.value = told.options;
  }

  form.addEventListener("input", (event) => {
    if (event.target !== text && !event.target.name.startsWith("option.")) return;
    clearTimeout(timer);
    timer = setTimeout(follow, 300);
  });
  form.addEventListener("change", (event) => {
    if (event.target === text || event.target.name.startsWith("option.")) { clearTimeout(timer); follow(); }
  });

  // ---- a figure that is chosen begins a line of requirements

  for (const adds of form.querySelectorAll("[data-appends]")) {
    const lines = field(adds.dataset.appends);
    const choice = adds.querySelector("select");
    const append = () => {
      if (!choice.value) { choice.focus(); return; }
      const before = lines.value.trimEnd();
      lines.value = `${before}${before ? "\n" : ""}${choice.value} <= `;
      choice.value = "";
      lines.focus();
      lines.setSelectionRange(lines.value.length, lines.value.length);
      lines.dispatchEvent(new Event("input", { bubbles: true }));
    };
    lines.addEventListener("input", () => { lines.rows = Math.min(12, Math.max(3, lines.value.split("\n").length)); });
    adds.hidden = false;
    adds.querySelector("button").addEventListener("click", append);
    choice.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" || !choice.value) return;
      event.preventDefault();
      append();
    });
  }

  // ---- the options of the runtime that the model needs

  const formats = JSON.parse(form.getAttribute("data-formats"));
  const ending = (name) => (name.match(/\.[^.]+$/) || [""])[0].toLowerCase();

  const targets = field("target");

  function offer() {
    const file = field("model_file").files[0];
    const chosen = field("model").selectedOptions[0];
    const format = file ? formats[ending(file.name)] : chosen && chosen.dataset.format;
    for (const one of targets ? targets.options : []) {
      one.disabled = Boolean(format && one.value && !one.dataset.from.split(" ").includes(format));
      if (one.disabled && one.selected) targets.value = "";
    }
    if (!format) return;
    for (const one of form.querySelectorAll("details[data-runs]")) {
      const runs = one.dataset.runs.split(" ");
      const own = runs[0] === format || (runs.includes(format) && format !== "onnx");
      one.open = own || optionFields.some((option) => option.value && one.contains(option));
    }
  }

  field("model").addEventListener("change", () => {
    if (field("model").value) field("model_file").value = "";
    tell("model");
    offer();
  });
  for (const input of inputs) {
    input.addEventListener("change", () => {
      if (!input.files.length) return;
      field(KINDS[input.name]).value = "";
      tell(input.name);
      tell(KINDS[input.name]);
      offer();
    });
  }

  // ---- dropping

  for (const zone of form.querySelectorAll(".drop")) {
    const input = field(zone.dataset.file);
    for (const kind of ["dragenter", "dragover"]) {
      zone.addEventListener(kind, (event) => { event.preventDefault(); zone.classList.add("over"); });
    }
    zone.addEventListener("dragleave", () => zone.classList.remove("over"));
    zone.addEventListener("drop", (event) => {
      event.preventDefault();
      zone.classList.remove("over");
      if (running || !event.dataTransfer.files.length) return;
      const one = new DataTransfer();
      one.items.add(event.dataTransfer.files[0]);
      input.files = one.files;
      input.dispatchEvent(new Event("change", { bubbles: true }));
    });
  }

  // ---- uploading

  class Refused extends Error {
    constructor(words) {
      super();
      this.words = words;
    }
  }

  const inEnglish = (text) => [{ text, english: document.documentElement.lang !== "en" }];

  async function ask(path, options) {
    const answer = await fetch(path, { method: "POST", ...options });
    const body = answer.status === 204 ? null : await answer.json().catch(() => null);
    if (!answer.ok) {
      throw new Refused((body && body.problem) || inEnglish((body && body.message) || `${answer.status} ${answer.statusText}`));
    }
    return body;
  }

  function put(url, part, signal, moved) {
    return new Promise((done, failed) => {
      const request = new XMLHttpRequest();
      const stop = () => request.abort();
      signal.addEventListener("abort", stop);
      request.upload.addEventListener("progress", (event) => moved(event.loaded));
      request.addEventListener("load", () => {
        if (request.status === 200) { done(request.getResponseHeader("ETag")); return; }
        let told = `${request.status} ${request.statusText}`;
        try { told = JSON.parse(request.responseText).message; } catch { /* no text of ours */ }
        failed(new Refused(inEnglish(told)));
      });
      request.addEventListener("error", () => failed(new Error(form.getAttribute("data-no-connection"))));
      request.addEventListener("abort", () => failed(new DOMException("", "AbortError")));
      request.addEventListener("loadend", () => signal.removeEventListener("abort", stop));
      request.open("PUT", url);
      request.send(part);
    });
  }

  const TRIES = 5;

  async function persist(sending, signal) {
    for (let number = 1; ; number += 1) {
      try {
        return await sending();
      } catch (error) {
        if (signal.aborted || error instanceof Refused || number === TRIES) throw error;
        await new Promise((done) => { setTimeout(done, 500 * 2 ** number); });
      }
    }
  }

  const megabytes = (count) => `${(count / 1e6).toFixed(count < 1e7 ? 1 : 0)} MB`;

  async function upload(input, signal) {
    const file = input.files[0];
    const kind = KINDS[input.name];
    const sort = kind === "baseline" ? "model" : kind;
    const place = input.closest(".drop").querySelector(".transfer");
    const [bar, words] = [place.querySelector("progress"), place.querySelector("output")];
    const moved = (count) => {
      bar.value = file.size ? count / file.size : 1;
      words.textContent = `${megabytes(count)} / ${megabytes(file.size)}`;
    };
    const about = new URLSearchParams({ name: file.name, size: file.size });
    const end = ending(file.name) === ".zip" ? file.slice(Math.max(0, file.size - Number(form.getAttribute("data-end")))) : "";
    moved(0);
    place.hidden = false;
    let begun = null;
    try {
      begun = await ask(`/submit/uploads/${sort}?${about}`, { body: end, signal });
      running.left = `/submit/uploads/${sort}/${begun.id}/give-up`;
      const etags = [];
      for (const [number, url] of begun.urls.entries()) {
        const from = number * begun.part_bytes;
        const part = file.slice(from, from + begun.part_bytes);
        etags.push(await persist(() => put(url, part, signal, (count) => moved(from + count)), signal));
      }
      const body = JSON.stringify({ upload: begun.upload, etags });
      await ask(`/submit/uploads/${sort}/${begun.id}/complete`, { body, signal });
      running.left = null;
    } catch (error) {
      if (begun) fetch(`/submit/uploads/${sort}/${begun.id}/give-up`, { method: "POST", keepalive: true }).catch(() => {});
      if (running) running.left = null;
      throw error;
    } finally {
      place.hidden = true;
    }
    const chosen = new Option(`${file.name} · ${begun.id}`, begun.id, true, true);
    chosen.dataset.format = formats[ending(file.name)] || "";
    field(kind).append(chosen);
    input.value = "";
  }

  window.addEventListener("pagehide", () => { if (running && running.left) fetch(running.left, { method: "POST", keepalive: true }); });

  // ---- submitting

  const wanted = (input) => input.files.length && (!FOR[input.name] || FOR[input.name].includes(form.elements.kind.value));

  async function sound() {
    const asking = typed();
    for (const input of inputs.filter(wanted)) {
      asking.set(KINDS[input.name], "-");
      asking.set(input.name, input.files[0].name);
    }
    asking.set("whole", "yes");
    const answer = await fetch(`/submit/check?${asking}`);
    if (answer.redirected) {  // the session has ended
      location.assign("/sign-in?next=/submit&ended=yes&unsent=yes");
      return false;
    }
    const told = await answer.json();
    for (const place of form.querySelectorAll(".problem")) tell(place.id.slice("problem-".length));
    const problems = Object.entries(told.problems || {});
    for (const [name, words] of problems) tell(name, words);
    list(told.summary || "", problems);
    if (problems.length) show(problems[0][0], problems[0][1]);
    return problems.length === 0;
  }

  form.addEventListener("submit", async (event) => {
    if (running) { event.preventDefault(); return; }
    const files = inputs.filter(wanted);
    if (!files.length) return;
    event.preventDefault();
    const stop = new AbortController();
    running = { left: null };
    const button = form.querySelector(".send button");
    const cancel = (click) => { if (click.target.closest(".transfer button")) stop.abort(); };
    form.addEventListener("click", cancel);
    button.disabled = true;
    let current = files[0];
    let went = false;
    try {
      if (!(await sound())) return;
      for (current of files) await upload(current, stop.signal);
      went = true;
    } catch (error) {
      if (error.name === "AbortError") return;
      const words = error instanceof Refused ? error.words : [{ text: error.message, english: false }];
      list(form.getAttribute("data-problem"), [[current.name, words]]);
      show(current.name, words);
    } finally {
      running = null;
      button.disabled = false;
      form.removeEventListener("click", cancel);
    }
    if (went) form.requestSubmit();
  });

  // ---- what was typed outlives a change of language; chosen files cannot

  const KEPT = "submit typed";

  function restore(kept) {
    for (const one of form.elements) {
      if (!one.name || ["file", "submit", "button"].includes(one.type)) continue;
      if (["checkbox", "radio"].includes(one.type)) one.checked = kept.getAll(one.name).includes(one.value);
      else assign(one, kept.get(one.name) || "");
      const folded = one.type !== "hidden" && one.value && one.checked !== false && one.closest("details");
      if (folded) folded.open = true;
    }
  }

  document.querySelector('form[action="/language"]').addEventListener("submit", () => {
    sessionStorage.setItem(KEPT, typed());
  });
  const kept = sessionStorage.getItem(KEPT);
  sessionStorage.removeItem(KEPT);
  if (kept) restore(new URLSearchParams(kept));

  offer();
})();
