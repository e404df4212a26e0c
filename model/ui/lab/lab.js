// The page of the lab. It computes nothing of the protocol: the server runs the specification and
// says what every server did; this shows it, and sends each action as a longer script.

import { Actions, legend } from "./actions.js";
import { byId, calm, el, name, narrow, say, seconds } from "./dom.js";
import { LaneView, counters } from "./lane.js";
import { Player } from "./player.js";

// The longest run, and how much longer than an action it goes on, in milliseconds.
const [LONGEST, AFTER] = [60_000, 2_500];

let run = null;
let lanes = [];
let chosen = null;
let loading = 0;
let asking = new AbortController();

const player = new Player(byId("player"), draw);
const actions = new Actions(byId("actions"), { act, remove, change, seek, choose, link });

// An address has the run's own parts, and two of the page's: what the run's fingerprint was when the
// link was made, and the time that was looked at.
function parts() {
  const all = new URLSearchParams(location.hash.slice(1));
  const [print, time] = [all.get("run"), all.get("t")];
  all.delete("run");
  all.delete("t");
  return { query: all.toString(), print, time: Number(time) || 0 };
}

function address(time) {
  const t = time > 0 ? `&t=${Math.round(time / 1000)}` : "";
  return `#${run.address}&run=${run.fingerprint}${t}`;
}

// Loads what the address says.
async function open({ keep = false } = {}) {
  const { query, print, time } = parts();
  const turn = ++loading;
  document.body.dataset.ready = "false";
  // Nobody waits for the run before this one any more.
  asking.abort();
  asking = new AbortController();
  let answer;
  try {
    answer = await fetch(`run?${query}`, { signal: asking.signal });
  } catch {
    if (turn !== loading) return;
    return fail("The lab does not answer: is quorate-model lab still running?", "Reload the page once it does.");
  }
  if (turn !== loading) return;
  if (!answer.ok) return fail("This link cannot be opened.", await answer.text());
  const next = await answer.json().catch(() => null);
  if (turn !== loading || next === null) return;
  const at = keep ? player.time : time * 1000;
  show(next, at);
  const stale = print && print !== next.fingerprint;
  if (stale) {
    notice("This link was made for another version of the specification or of the lab.",
      "The same script comes out differently now: what you see is how it runs today.");
  }
  document.body.dataset.ready = "true";
}

function notice(title, text) {
  byId("message").replaceChildren(el("strong", {}, title), " ", text);
  byId("message").hidden = false;
}

function fail(title, text) {
  notice(title, text);
  byId("message").append(" ", el("a", { href: "#scene=pre-vote" }, "Open the first scene"));
  player.pause();
  if (!run) say(byId("title"), "Nothing to show");
  document.body.dataset.ready = "true";
  document.body.dataset.failed = "true";
}

// How to find again what has the focus, once the page is built anew.
function focused() {
  const it = document.activeElement;
  if (it.id) return `#${it.id}`;
  const lane = it.closest("[data-lane]");
  return lane && it.dataset.server ? `[data-lane="${lane.dataset.lane}"] [data-server="${it.dataset.server}"]` : "";
}

function show(next, time) {
  const focus = focused();
  run = next;
  byId("message").hidden = true;
  byId("verdict").hidden = false;
  byId("actions").hidden = false;
  document.body.dataset.failed = "false";
  document.body.dataset.scene = run.scene.id;
  document.title = `${run.scene.title}: Quorate lab`;
  say(byId("title"), run.scene.title);
  say(byId("question"), run.scene.question);
  say(byId("lead"), run.scene.lead);
  say(byId("watch"), run.scene.watch);
  byId("scenes").replaceChildren(...run.scenes.map((scene, i) => el("li", {},
    el("a", { href: `#scene=${scene.id}`, "aria-current": scene.id === run.scene.id ? "page" : null },
      el("span", { class: "number", "aria-hidden": "true" }, String(i + 1)), scene.title))));
  lanes = run.lanes.map((lane, position) => new LaneView(lane, run, { choose, seek }, position));
  byId("lanes").replaceChildren(...lanes.map((lane) => lane.root));
  byId("lanes").dataset.lanes = lanes.length;
  actions.load(run);
  const micros = run.script.map((event) => event.at * 1000);
  const notes = run.lanes.flatMap((lane) => lane.notes.filter((note) => note.tone !== "quiet").map((note) => note.at));
  const weights = { event: 0.8, good: 1, bad: 1.3 };
  const holds = [
    ...micros.map((at) => ({ at, weight: 1.5 })),
    ...run.lanes.flatMap((lane) => lane.notes.filter((note) => weights[note.tone])
      .map((note) => ({ at: note.at, weight: weights[note.tone] }))),
  ];
  const fine = run.lanes.flatMap((lane) => lane.messages.flatMap((message) => [message.sent, message.until]));
  player.load({ end: run.settings.end * 1000, moments: [...micros, ...notes], fine, marks: micros, holds, time });
  const again = focus && document.querySelector(focus);
  if (again) again.focus({ preventScroll: true });
}

function draw(time) {
  if (!run) return;
  lanes.forEach((lane) => lane.draw(time, chosen));
  actions.draw(time);
  drawHappening(time);
  drawVerdict(time);
  speak(time);
}

// The last event of the script, with those just before it.
function drawHappening(time) {
  const past = run.script.filter((event) => event.at * 1000 <= time);
  const last = past[past.length - 1];
  const texts = past.filter((event) => last.at - event.at < 30).map((event) => event.text);
  const play = narrow() ? " Press ▶." : " Press ▶ or the space bar.";
  const start = `All is well: every link works.${time === 0 ? play : ""}`;
  const over = time >= player.end ? `${seconds(time)}  The end. What it comes to is said below.` : "";
  say(byId("happening"), over || (last ? `${seconds(last.at * 1000)}  ${texts.join(" ")}` : start));
}

function drawVerdict(time) {
  const over = time >= player.end;
  const shown = `${over}`;
  byId("verdict").dataset.over = shown;
  say(byId("sentence"), over ? run.verdict.sentence : "Play to the end, and one sentence is here.");
  byId("sentence").dataset.reached = over && run.verdict.reached;
  const rows = counters(run.scene.id).map((counter) => el("tr", {},
    el("th", { scope: "row" }, counter.label), run.lanes.map((lane) => el("td", {}, counter.at(lane, time)))));
  const key = rows.map((row) => row.textContent).join();
  if (key === byId("counts").dataset.key) return;
  byId("counts").dataset.key = key;
  byId("counts").replaceChildren(
    el("thead", {}, el("tr", {}, el("td", {}), run.lanes.map((lane) => el("th", { scope: "col" }, lane.title)))),
    el("tbody", {}, rows));
}

let spoken = "";

// What a screen reader says: what has just happened in any lane, at the moment that is shown.
function speak(time) {
  const near = (at) => at <= time && time - at < 50_000;
  const script = run.script.filter((event) => near(event.at * 1000)).map((event) => event.text);
  const notes = run.lanes.flatMap((lane) => lane.notes
    .filter((note) => note.tone !== "quiet" && near(note.at)).map((note) => `${lane.title}: ${note.text}`));
  const verdict = time >= player.end ? [run.verdict.sentence] : [];
  const text = [...script, ...notes, ...verdict].join(" ");
  if (text && text !== spoken) {
    spoken = text;
    say(byId("spoken"), text);
  }
}

function seek(time) {
  player.pause();
  player.seek(time);
}

function choose(server) {
  chosen = server;
  actions.pick(server);
  drawQuick();
  draw(player.time);
}

// What is done most to the chosen server, beside the lanes.
function drawQuick() {
  const quick = byId("quick");
  quick.hidden = chosen === null;
  if (quick.hidden) return;
  const button = (text, event, id) => el("button", { type: "button", id, onclick: () => act([event]) }, text);
  quick.replaceChildren(
    el("b", {}, name(chosen)),
    button("Isolate", `isolate.${chosen}`, "quick-isolate"),
    button("Crash", `crash.${chosen}`, "quick-crash"),
    button("Restart", `restart.${chosen}`, "quick-restart"),
    button("Heal all", "heal", "quick-heal"),
    el("a", { class: "button", href: "#actions", id: "quick-more", onclick: (event) => {
      event.preventDefault();
      byId("actions").scrollIntoView({ behavior: calm() ? "auto" : "smooth" });
      byId(`server-${chosen}`).focus({ preventScroll: true });
    } }, "More"));
}

// Adds events at the present moment, and runs it all again: from here on the future is a new one.
function act(events) {
  const at = Math.round(player.time / 1000);
  player.seek(at * 1000);
  const words = [...run.script.map((event) => event.word), ...events.map((event) => `${at}.${event}`)];
  const end = Math.min(LONGEST, Math.max(run.settings.end, at + AFTER));
  go({ script: words.join("_"), end: String(end) });
}

function remove(number) {
  go({ script: run.script.filter((_, i) => i !== number).map((event) => event.word).join("_") });
}

function change(settings) {
  go(settings);
}

function go(changes) {
  const all = new URLSearchParams(run.address);
  for (const [key, value] of Object.entries(changes)) all.set(key, value);
  const time = player.time > 0 ? `&t=${Math.round(player.time / 1000)}` : "";
  history.pushState(null, "", `#${all.toString()}${time}`);
  open({ keep: true }).then(remember);
}

// A link to what is looked at.
function link() {
  return location.href.split("#")[0] + address(player.time);
}

// Puts what is looked at into the address, so that a copied link opens there.
function remember() {
  const shown = run && document.body.dataset.ready === "true" && byId("message").hidden;
  if (shown && !player.playing) history.replaceState(null, "", address(player.time));
}

function theme() {
  const dark = matchMedia("(prefers-color-scheme: dark)").matches;
  const now = document.documentElement.dataset.theme || (dark ? "dark" : "light");
  return now;
}

function setTheme(value) {
  document.documentElement.dataset.theme = value;
  say(byId("theme"), value === "dark" ? "Light" : "Dark");
  byId("theme").setAttribute("aria-label", value === "dark" ? "Switch to light colours" : "Switch to dark colours");
}

const KEYS = [
  ["Space", "play or pause"],
  ["→ and ←", "the next or previous moment; with Shift, every message"],
  ["Home and End", "the start, the end"],
  ["+ and −", "faster, slower"],
  ["n0 … n6", "0 to 6 choose a server"],
  ["i", "isolate the chosen server; h heals all links"],
  ["c", "crash it; r restarts it"],
  ["w", "write"],
  ["[ and ]", "the previous or next scene"],
  ["?", "this list"],
];

function buildHelp() {
  byId("help").replaceChildren(
    el("h2", { id: "help-title" }, "Keys"),
    el("dl", {}, KEYS.map(([key, what]) => el("div", {}, el("dt", {}, el("kbd", {}, key)), el("dd", {}, what)))),
    el("button", { type: "button", id: "help-close", onclick: () => byId("help").close() }, "Close"));
}

function nextScene(by) {
  const position = run.scenes.findIndex((scene) => scene.id === run.scene.id) + by;
  const scene = run.scenes[(position + run.scenes.length) % run.scenes.length];
  location.hash = `scene=${scene.id}`;
}

const pick = () => (chosen === null ? actions.chosen : chosen);
const SHORTCUTS = {
  " ": () => player.toggle(),
  ArrowRight: (event) => player.step(1, event.shiftKey),
  ArrowLeft: (event) => player.step(-1, event.shiftKey),
  Home: () => seek(0),
  End: () => seek(player.end),
  "+": () => player.faster(1),
  "=": () => player.faster(1),
  "-": () => player.faster(-1),
  i: () => act([`isolate.${pick()}`]),
  h: () => act(["heal"]),
  c: () => act([`crash.${pick()}`]),
  r: () => act([`restart.${pick()}`]),
  w: () => act(["propose"]),
  "[": () => nextScene(-1),
  "]": () => nextScene(1),
  "?": () => byId("help").showModal(),
};

// Keys of the page; whatever has the focus and uses the key itself keeps it.
function onKey(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || byId("help").open || !run) return;
  const target = event.target;
  if (target.closest("select, input:not([type=range]), textarea")) return;
  if (event.key === " " && target.closest("button, a, summary, [role=button]")) return;
  if (target.type === "range" && event.key !== " " && /^(Arrow|Home|End)/.test(event.key)) return;
  const digit = /^[0-6]$/.test(event.key) && Number(event.key) < run.settings.servers;
  const action = digit ? () => choose(Number(event.key)) : SHORTCUTS[event.key];
  if (!action) return;
  event.preventDefault();
  action(event);
}

// In the free scene there is always more time, as far as a run can go.
player.onEnd = () => {
  const end = Math.min(LONGEST, run.settings.end + AFTER);
  if (run.scene.id !== "own" || end <= run.settings.end) return false;
  const all = new URLSearchParams(run.address);
  all.set("end", String(end));
  history.replaceState(null, "", `#${all.toString()}`);
  open({ keep: true });
  return true;
};
// Whoever plays looks at the lanes.
player.onPlaying = (playing) => {
  if (!playing) return remember();
  const top = byId("happening").getBoundingClientRect().top;
  // On a phone every line counts.
  if (top > (narrow() ? 8 : innerHeight / 4)) byId("happening").scrollIntoView({ behavior: calm() ? "auto" : "smooth" });
};
// Whoever has watched to the end is told what it comes to.
player.onOver = () => byId("verdict").scrollIntoView({ behavior: calm() ? "auto" : "smooth", block: "nearest" });
document.addEventListener("keydown", onKey);
byId("theme").addEventListener("click", () => setTheme(theme() === "dark" ? "light" : "dark"));
byId("help-button").addEventListener("click", () => byId("help").showModal());
addEventListener("hashchange", () => {
  // From here on the address is the new one's: pausing must not put the old run back into it.
  document.body.dataset.ready = "false";
  player.pause();
  chosen = null;
  drawQuick();
  open();
});
setTheme(theme());
document.documentElement.dataset.calm = calm();
buildHelp();
legend();
open();
