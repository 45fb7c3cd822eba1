// The page of a run: attempts in a panel, keys in the timeline, and what changes while the run goes on.

const EVERY = 2000;
const body = document.body;
const sections = document.getElementById("sections");
const panel = document.getElementById("panel");
const content = document.getElementById("panel-content");
const keys = document.getElementById("keys");
const reduced = matchMedia("(prefers-reduced-motion: reduce)").matches;
let selected = null; // the id of the attempt in the panel
let opener = null; // what had the focus before
let pressed = true; // which scale the timeline has

const all = (selector, root = document) => [...root.querySelectorAll(selector)];
const named = (attribute, value, root = document) => all(`[${attribute}]`, root).find((it) => it.getAttribute(attribute) === value);

// -- attempts --------------------------------------------------------------------------------------------------------

async function detailsOf(id) {
  const fold = document.getElementById(id);
  const here = fold?.querySelector("article.attempt");
  if (here) {
    return here.cloneNode(true);
  }
  const link = body.dataset.attemptLink;
  if (!link) {
    return null;
  }
  const reply = await fetch(link.replace("{id}", encodeURIComponent(id)), { credentials: "same-origin" });
  if (!reply.ok) {
    throw new Error(`The server answered with ${reply.status}.`);
  }
  return parsed(await pageOf(reply)).querySelector("article.attempt");
}

/** What the server made for pages: an address that somebody chose may lead to a value, which is plain text. */
async function pageOf(reply) {
  if (!reply.headers.get("Content-Type")?.startsWith("text/html")) {
    throw new Error("The server answered with something else.");
  }
  return reply.text();
}

function parsed(text) {
  return new DOMParser().parseFromString(text, "text/html");
}

async function open(id, { focus = true } = {}) {
  selected = id;
  if (panel.hidden) {
    opener = document.activeElement;
  }
  let found;
  try {
    found = await detailsOf(id);
  } catch (error) {
    found = note(String(error.message ?? error));
  }
  if (selected !== id) {
    return; // another one was opened meanwhile
  }
  content.replaceChildren(found ?? note("This attempt is not part of the run any more."));
  panel.hidden = false;
  panel.scrollTop = 0;
  mark();
  write(`#attempt=${encodeURIComponent(id)}`);
  if (focus) {
    panel.focus();
  }
}

function note(text) {
  const shown = document.createElement("p");
  shown.className = "notice warn";
  shown.textContent = text;
  return shown;
}

function close() {
  if (panel.hidden) {
    return;
  }
  panel.hidden = true;
  const back = named("data-attempt", selected, sections) ?? opener;
  selected = null;
  mark();
  write("");
  back?.focus?.();
}

function mark() {
  all(".mark.selected").forEach((it) => it.classList.remove("selected"));
  if (selected) {
    all(".mark[data-attempt]").filter((it) => it.dataset.attempt === selected).forEach((it) => it.classList.add("selected"));
  }
}

function step(which) {
  const link = content.querySelector(`a[data-step="${which}"]`);
  if (link) {
    open(link.dataset.attempt);
  }
}

/** Airflow keeps its own address; a frame's has no part of it. */
function outer() {
  try {
    return window.parent !== window ? window.parent.location.href && window.parent : null;
  } catch {
    return null; // another origin
  }
}

const where = () => location.hash || outer()?.location.hash || "";

function write(hash) {
  for (const view of [window, outer()]) {
    // the whole path: Airflow's <base> would lead a hash alone elsewhere
    view?.history.replaceState(view.history.state, "", view.location.pathname + view.location.search + hash);
  }
}

/** Opens what the address names: #attempt=ID, or #task=ID&map=-1&try=1. */
function openNamed() {
  const given = new URLSearchParams(where().slice(1));
  if (given.has("attempt")) {
    open(given.get("attempt"));
  } else if (given.has("task")) {
    openTask(given.get("task"), given.get("map") ?? "-1", given.get("try"));
  }
}

function openTask(task, map, number) {
  const own = all(".mark", sections).filter((it) => it.dataset.task === task && it.dataset.map === map);
  const found = own.filter((it) => it.dataset.try === number).at(-1) ?? own.at(-1);
  if (found?.dataset.attempt) {
    open(found.dataset.attempt);
  } else if (found) {
    reveal(found);
    found.focus();
  } else {
    const line = all(".line[data-tasks]", sections).find((it) => it.dataset.tasks.split(" ").includes(task));
    if (line) {
      reveal(line);
      line.classList.add("named");
    }
  }
}

function reveal(element) {
  const fold = element.closest("details");
  if (fold) {
    fold.open = true;
  }
  element.scrollIntoView({ block: "center", behavior: reduced ? "auto" : "smooth" });
}

async function showWhole(link) {
  const reply = await fetch(link.href, { credentials: "same-origin" });
  const box = link.closest(".value, article");
  if (!reply.ok) {
    link.parentElement.replaceChildren(note(`The server answered with ${reply.status}.`));
    return;
  }
  const shown = document.createElement("pre");
  shown.className = "text";
  shown.tabIndex = 0;
  shown.textContent = await reply.text();
  link.parentElement.remove();
  box.append(shown);
  shown.focus();
}

document.addEventListener("click", (event) => {
  if (event.defaultPrevented || event.button || event.ctrlKey || event.metaKey || event.shiftKey) {
    return;
  }
  const link = event.target.closest?.("a");
  if (link?.dataset.attempt) {
    event.preventDefault();
    open(link.dataset.attempt);
  } else if (link && "whole" in link.dataset) {
    event.preventDefault();
    showWhole(link);
  } else if (link?.getAttribute("href")?.startsWith("#")) {
    const target = document.getElementById(decodeURIComponent(link.getAttribute("href").slice(1)));
    if (target?.tagName === "DETAILS") {
      target.open = true;
    }
  } else if (event.target.closest?.("#close-panel")) {
    close();
  } else if (event.target.closest?.("#show-keys")) {
    keys.showModal();
  } else if (event.target.closest?.("#scale")) {
    pressed = !pressed;
    rescale();
  }
});

// -- the timeline ----------------------------------------------------------------------------------------------------

const lines = () => all(".line .lane", sections).filter((lane) => lane.querySelector(".mark") && lane.checkVisibility());
const marksOf = (lane) => all(".mark", lane);

/** One stop for the Tab key; the arrows lead on from there. */
function rove(current) {
  const marks = all(".timeline .mark", sections);
  marks.forEach((it) => it.setAttribute("tabindex", "-1"));
  (current ?? marks[0])?.setAttribute("tabindex", "0");
}

function go(from, key) {
  const lane = from.closest(".lane");
  const marks = marksOf(lane);
  const place = marks.indexOf(from);
  if (key === "ArrowRight" || key === "ArrowLeft") {
    return marks[place + (key === "ArrowRight" ? 1 : -1)];
  }
  if (key === "Home" || key === "End") {
    return marks.at(key === "Home" ? 0 : -1);
  }
  const listed = lines();
  const next = listed[listed.indexOf(lane) + (key === "ArrowDown" ? 1 : -1)];
  return next && nearest(marksOf(next), from.getBoundingClientRect().left);
}

function nearest(marks, left) {
  const far = (it) => Math.abs(it.getBoundingClientRect().left - left);
  return marks.reduce((best, it) => (far(it) < far(best) ? it : best), marks[0]);
}

const along = (points, value, from, to) => {
  let index = points.findIndex((point) => point[from] >= value);
  index = index < 0 ? points.length - 1 : Math.max(index, 1);
  const [low, high] = [points[index - 1], points[index]];
  const share = high[from] > low[from] ? (value - low[from]) / (high[from] - low[from]) : 0;
  return low[to] + share * (high[to] - low[to]);
};

/** Draws the bars anew on the other scale: with idle time pressed together, or as long as it was. */
function rescale() {
  const timeline = document.querySelector(".timeline");
  const button = document.getElementById("scale");
  const scales = JSON.parse(timeline.dataset.scales);
  const [old, now] = pressed ? [scales.true, scales.pressed] : [scales.pressed, scales.true];
  const moved = (percent) => along(now, along(old, percent, 1, 0), 0, 1);
  for (const shape of all(".lane rect, .lane svg", timeline)) {
    const left = parseFloat(shape.getAttribute("x"));
    const width = shape.getAttribute("width");
    const x = moved(left);
    if (width?.endsWith("%")) {
      shape.setAttribute("width", `${moved(left + parseFloat(width)) - x}%`);
    }
    shape.setAttribute("x", `${x}%`);
  }
  for (const ticks of all(".ticks", timeline)) {
    ticks.setAttribute("display", ticks.classList.contains("pressed") === pressed ? "inline" : "none");
  }
  button.setAttribute("aria-pressed", String(pressed));
}

document.addEventListener("keydown", (event) => {
  const writing = event.target.closest?.("input, textarea, select");
  if (event.altKey || event.ctrlKey || event.metaKey || writing) {
    return;
  }
  const on = event.target.closest?.(".timeline .mark");
  if (on && ["ArrowLeft", "ArrowRight", "ArrowUp", "ArrowDown", "Home", "End"].includes(event.key)) {
    event.preventDefault();
    const next = go(on, event.key);
    if (next) {
      rove(next);
      next.focus();
    }
  } else if (event.key === "Escape" && !keys.open) {
    close();
  } else if (event.key === "?") {
    keys.showModal();
  } else if (!panel.hidden && (event.key === "p" || event.key === "n")) {
    step(event.key === "p" ? "before" : "after");
  }
});

// -- where words are from --------------------------------------------------------------------------------------------

function light(event) {
  const on = event.target.closest?.(".passage, .origin-list > li");
  all(".lit").forEach((it) => it.classList.remove("lit"));
  if (!on) {
    return;
  }
  const twin = document.getElementById(on.id.startsWith("passage-") ? on.id.replace("passage", "origin") : on.id.replace("origin", "passage"));
  for (const it of [on, twin]) {
    it?.classList.add("lit");
  }
  if (twin && twin.parentElement.scrollHeight > twin.parentElement.clientHeight) {
    twin.parentElement.scrollTop = twin.offsetTop - twin.parentElement.offsetTop - 40;
  }
}
document.addEventListener("mouseover", light);
document.addEventListener("focusin", light);

// -- live ------------------------------------------------------------------------------------------------------------

let etag = null;

/** What a section's reader has done to it, to be done to the new one. */
function remember(section) {
  const active = section.contains(document.activeElement) ? document.activeElement : null;
  return {
    open: new Map(all("details[data-key]", section).map((it) => [it.dataset.key, it.open])),
    scrolled: all(".scroll, pre", section).map((it) => [it.scrollLeft, it.scrollTop]),
    focus: active && ["id", "data-attempt", "data-ref", "href"].map((it) => [it, active.getAttribute(it)]).find((it) => it[1]),
  };
}

function recall(section, kept) {
  for (const fold of all("details[data-key]", section)) {
    fold.open = kept.open.get(fold.dataset.key) ?? fold.open;
  }
  all(".scroll, pre", section).forEach((it, index) => {
    [it.scrollLeft, it.scrollTop] = kept.scrolled[index] ?? [0, 0];
  });
  if (kept.focus) {
    named(...kept.focus, section)?.focus({ preventScroll: true });
  }
}

function renew(text) {
  const fresh = all("section.part", parsed(text));
  for (const section of fresh) {
    const old = sections.querySelector(`:scope > #${CSS.escape(section.id)}`);
    if (old?.dataset.digest === section.dataset.digest) {
      continue;
    }
    const kept = old && remember(old);
    if (old) {
      old.replaceWith(section);
      recall(section, kept);
    } else {
      const after = fresh.slice(fresh.indexOf(section) + 1).map((it) => document.getElementById(it.id)).find(Boolean);
      sections.insertBefore(section, after ?? null);
    }
    if (section.id === "timeline") {
      prepare();
    }
  }
  for (const entry of all(".contents a")) {
    entry.hidden = !document.getElementById(entry.hash.slice(1));
  }
  mark();
}

function goesOn() {
  return ["running", "queued"].includes(sections.querySelector("[data-state]")?.dataset.state);
}

function tell(text) {
  const shown = note(text);
  shown.setAttribute("role", "status");
  sections.prepend(shown);
}

async function look() {
  try {
    const headers = etag ? { "If-None-Match": etag } : {};
    const reply = await fetch(body.dataset.sections, { headers, credentials: "same-origin", cache: "no-cache" });
    if (reply.status >= 400 && reply.status < 500) {
      tell(reply.status === 401 ? "You are signed out: this page is no longer kept up to date." : `This page is no longer kept up to date: the server answered with ${reply.status}.`);
      return;
    }
    if (reply.ok) {
      etag = reply.headers.get("ETag");
      renew(await pageOf(reply));
      if (selected && content.querySelector(".state.busy")) {
        const at = panel.scrollTop;
        await open(selected, { focus: false });
        panel.scrollTop = at;
      }
    }
  } catch {
    // asked again below
  }
  if (goesOn()) {
    setTimeout(look, EVERY);
  }
}

function prepare() {
  rove();
  const button = document.getElementById("scale");
  if (button) {
    button.hidden = false;
    if (!pressed) {
      rescale();
    }
  }
}

document.getElementById("show-keys").hidden = false;
prepare();
addEventListener("hashchange", openNamed);
openNamed();
if (body.dataset.sections && goesOn()) {
  setTimeout(look, EVERY);
}
