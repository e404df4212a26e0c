// A lane: its ring, what happens in words, its counters, its strip of time and its logs.

import { el, indexAt, name, narrow, say, seconds } from "./dom.js";
import { Ring, role } from "./ring.js";
import { Strip } from "./time.js";

// What can be counted: its name, how it stands at a time, and beyond what it is a bad sign.
const COUNTERS = {
  terms: { label: "terms begun", at: (lane, time) => highest(lane, time) - highest(lane, 0), bad: 0 },
  elections: { label: "elections", at: (lane, time) => count(lane.elections, time) },
  changes: { label: "new leaders", at: (lane, time) => lane.leaders.filter((it) => it.from > 0 && it.from <= time).length },
  leaderless: { label: "without a leader", at: without, bad: 0, text: seconds },
  // An election costs some tenths of a second: that is how it should be, where the alternative is to wait for ever.
  pause: { label: "without a leader", at: without, bad: 1e6, text: seconds },
  wait: { label: "longest wait for a commit", at: wait, bad: 1e6, text: seconds },
  commits: { label: "writes committed", at: (lane, time) => count(lane.commits, time) },
  contradicted: { label: "of these contradict earlier ones", at: (lane, time) => count(lane.contradicted, time), bad: 0 },
  fresh: { label: "right answers", at: (lane, time) => answered(lane, time).filter((it) => it.value !== null && !it.stale).length },
  stale: { label: "wrong answers", at: (lane, time) => answered(lane, time).filter((it) => it.stale).length, bad: 0 },
  silent: { label: "reads without answer", at: (lane, time) => lane.reads.filter((it) => it.at <= time && it.value === null).length },
  broken: { label: "safety claims broken", at: (lane, time) => count(lane.claims, time), bad: 0 },
};
const SHOWN = {
  "pre-vote": ["terms", "elections", "leaderless", "commits"],
  "one-way": ["elections", "pause", "wait", "commits"],
  phantom: ["stale", "fresh", "silent", "commits"],
  storm: ["commits", "contradicted", "broken", "pause"],
  own: ["terms", "leaderless", "stale", "commits"],
};
// How many entries of a log are shown.
const CELLS = 12;

const count = (list, time) => indexAt(list, time) + 1;
const answered = (lane, time) => lane.reads.filter((it) => it.answered !== null && it.answered <= time);

function highest(lane, time) {
  return Math.max(...lane.tracks.map((track) => track[Math.max(0, indexAt(track, time))].term));
}

function without(lane, time) {
  return lane.leaderless.reduce((sum, [from, until]) => sum + Math.max(0, Math.min(until, time) - from), 0);
}

function wait(lane, time) {
  const times = [0, ...lane.commits.map((it) => it.at).filter((at) => at <= time), time];
  return Math.max(0, ...times.slice(1).map((at, i) => at - times[i]));
}

// The counters of a scene with their names, and how they stand in a lane.
export function counters(scene) {
  return (SHOWN[scene] || SHOWN.own).map((key) => {
    const { label, at, bad = Infinity, text = String } = COUNTERS[key];
    return { key, label, at: (lane, time) => text(at(lane, time)), bad: (lane, time) => at(lane, time) > bad };
  });
}

export class LaneView {
  constructor(lane, run, { choose, seek }, position) {
    this.lane = lane;
    this.ring = new Ring(lane, run, choose);
    this.strip = new Strip(lane, run, seek);
    this.counters = counters(run.scene.id).map((counter) => ({ ...counter, node: el("dd", {}, "0") }));
    this.notes = el("ol", { class: "notes" });
    this.quorum = el("ul", { class: "quorums" });
    this.claims = el("div", { class: "claims" });
    this.logs = this.buildLogs(run.settings.servers);
    const id = `lane-${position}`;
    this.root = el("section", { class: "lane", "aria-labelledby": id, "data-lane": position },
      el("h2", { id }, lane.title),
      el("p", { class: "about", title: lane.rules.join("; ") }, lane.about || lane.rules.join("; ")),
      el("div", { class: "stage" }, this.ring.root, position === 0 ? el("p", { class: "caption" },
        "The shaded area holds the leader and whoever it has heard lately. Where it is grey, they are too few to decide.") : null),
      this.notes,
      el("dl", { class: "counters" }, this.counters.map((counter) =>
        el("div", { "data-counter": counter.key }, el("dt", {}, counter.label), counter.node))),
      this.strip.root, this.strip.text,
      this.quorum, this.claims, this.logs.root);
  }

  buildLogs(servers) {
    const rows = Array.from({ length: servers }, (_, server) => {
      const cells = el("td", { class: "cells" });
      const what = el("td", { class: "what" });
      return { cells, what, row: el("tr", {}, el("th", { scope: "row" }, name(server)), what, cells), seen: null };
    });
    const head = el("tr", {}, ["server", "role", "last entries of its log, by term"].map((text) => el("th", { scope: "col" }, text)));
    const root = el("details", { class: "logs", open: !narrow() },
      el("summary", {}, "Logs"), el("table", {}, el("thead", {}, head), el("tbody", {}, rows.map((it) => it.row))));
    return { root, rows };
  }

  draw(time, chosen) {
    const views = this.ring.draw(time, chosen);
    this.strip.draw(time);
    for (const counter of this.counters) {
      say(counter.node, counter.at(this.lane, time));
      counter.node.parentElement.dataset.bad = counter.bad(this.lane, time);
    }
    this.drawNotes(time);
    this.drawQuorums(views);
    this.drawClaims(time);
    views.forEach((view, server) => this.drawLog(server, view));
  }

  // The last few things that happened, the newest first; details only where nothing else is.
  drawNotes(time) {
    const last = indexAt(this.lane.notes, time);
    if (last === this.last) return;
    this.last = last;
    const past = this.lane.notes.slice(0, last + 1).filter((note) => note.tone !== "quiet");
    const shown = past.slice(-3).reverse();
    this.notes.replaceChildren(...shown.map((note) =>
      el("li", { "data-tone": note.tone }, el("time", {}, seconds(note.at)), el("span", {}, note.text))));
    if (shown.length === 0) {
      this.notes.append(el("li", { "data-tone": "quiet" }, el("time", {}, seconds(0)),
        el("span", {}, "n0 leads. It tells the others again and again that it is there. What a client writes is committed once a majority has it.")));
    }
  }

  // Whose answers a leader has, and of how many: two counts where two majorities are needed.
  drawQuorums(views) {
    const leaders = views.map((view, server) => ({ view, server })).filter(({ view }) => view.up && view.role === "leader");
    const key = JSON.stringify(leaders.map(({ view, server }) => [server, view.support, view.members, view.decides]));
    if (key === this.key) return;
    this.key = key;
    const half = (voters, support, label) => {
      const has = voters.filter((id) => support.includes(id)).length;
      const enough = has * 2 > voters.length;
      return el("span", { class: "half" },
        el("span", { class: "who" }, label),
        voters.map((id) => el("span", { class: "chip", "data-has": support.includes(id) }, `${support.includes(id) ? "✓" : "·"} ${name(id)}`)),
        el("span", { class: enough ? "enough" : "short" }, `${has} of ${voters.length}: ${enough ? "a majority" : "no majority"}`));
    };
    this.quorum.replaceChildren(...leaders.map(({ view, server }) => {
      const { voters, outgoing = [] } = view.members;
      const halves = outgoing.length > 0
        ? [half(outgoing, view.support, "of the old"), half(voters, view.support, "of the new")]
        : [half(voters, view.support, "")];
      const decides = view.decides ? "can decide" : "cannot decide";
      return el("li", { "data-decides": view.decides }, el("b", {}, `${name(server)} ${decides}`), halves);
    }));
    if (leaders.length === 0) this.quorum.append(el("li", {}, el("b", {}, "Nobody leads")));
  }

  drawClaims(time) {
    const last = indexAt(this.lane.claims, time);
    if (last === this.lastClaim) return;
    this.lastClaim = last;
    const broken = this.lane.claims.slice(0, last + 1);
    const open = this.claims.querySelector("details")?.open;
    this.claims.replaceChildren(...(broken.length === 0 ? [] : [el("details", { open: open === true },
      el("summary", {}, broken.length === 1 ? "✕ a safety claim is broken" : `✕ ${broken.length} safety claims are broken`),
      el("ul", {}, broken.map((claim) =>
        el("li", {}, `${claim.sentence} `, el("span", { class: "who" }, `(${claim.claim}, broken since ${seconds(claim.at)})`)))))]));
  }

  drawLog(server, view) {
    const row = this.logs.rows[server];
    if (row.seen === view) return;
    row.seen = view;
    say(row.what, role(view));
    const key = JSON.stringify([view.log, view.commit, view.configurations]);
    if (row.key === key) return;
    row.key = key;
    const length = view.log.reduce((sum, [, many]) => sum + many, 0);
    const terms = view.log.flatMap(([term, many]) => Array(many).fill(term));
    const first = Math.max(0, length - CELLS);
    const cells = terms.slice(first).map((term, i) => {
      const index = first + i + 1;
      const committed = index <= view.commit;
      const members = view.configurations.includes(index);
      const words = `entry ${index}, term ${term}${members ? ", members" : ""}${committed ? ", committed" : ""}`;
      return el("span", { class: `cell t${((term - 1) % 5) + 1}`, "data-committed": committed, title: words }, members ? `${term}m` : String(term));
    });
    const more = first > 0 ? [el("span", { class: "more" }, `${first} +`)] : [];
    row.cells.replaceChildren(...more, ...cells, el("span", { class: "unseen" }, `${length} entries, ${view.commit} committed`));
  }
}
