// The strip of time below a lane: who leads, elections, commits, and what went wrong.

import { el, name, seconds } from "./dom.js";

export class Strip {
  constructor(lane, run, seek) {
    this.end = run.settings.end * 1000;
    this.head = el("span", { class: "head" });
    this.future = el("span", { class: "future", title: "still to come" }, el("span", { class: "later" }, "later"));
    const rows = this.rows(lane.leaders);
    const bars = lane.leaders.map((reign, i) => {
      const text = `${name(reign.server)}, term ${reign.term}`;
      const bar = this.at("reign", reign.from, `${text}, from ${seconds(reign.from)} to ${seconds(reign.until)}`, text);
      bar.style.width = this.percent(reign.until - reign.from);
      bar.style.top = `${rows[i] * 20}px`;
      return bar;
    });
    const gaps = lane.leaderless.map(([from, until]) => {
      const gap = this.at("gap", from, `Nobody leads from ${seconds(from)} to ${seconds(until)}`, "");
      gap.style.width = this.percent(until - from);
      return gap;
    });
    const mark = (kind, glyph) => (it) => this.at(kind, it.at, `${kind} at ${seconds(it.at)}`, glyph);
    const marks = [
      ...lane.commits.map(mark("commit", "")),
      ...lane.elections.map(mark("election", "▲")),
      ...lane.reads.filter((read) => read.stale).map(mark("stale read", "✕")),
      ...lane.contradicted.map(mark("contradiction", "✕")),
    ];
    const script = run.script.map((event) => this.at("deed", event.at * 1000, event.text, ""));
    const high = Math.max(0, ...rows) * 20;
    const body = el("div", { class: "strip", onclick: (event) => {
      const box = body.getBoundingClientRect();
      seek(((event.clientX - box.left) / box.width) * this.end);
    } }, script, gaps, bars, marks, this.future, this.head);
    body.style.height = `${high + 56}px`;
    body.style.setProperty("--marks", `${high + 22}px`);
    this.root = el("div", { class: "strip-frame", "aria-hidden": "true" }, body);
    this.text = el("p", { class: "unseen" }, this.words(lane));
  }

  percent(span) {
    return `${(span / this.end) * 100}%`;
  }

  at(kind, at, title, text) {
    const node = el("span", { class: kind.replace(" ", "-"), title }, text);
    node.style.left = this.percent(at);
    return node;
  }

  // Two who lead at once are in two rows.
  rows(leaders) {
    const ends = [];
    return leaders.map((reign) => {
      const free = ends.findIndex((until) => until <= reign.from);
      const row = free < 0 ? ends.length : free;
      ends[row] = reign.until;
      return row;
    });
  }

  words(lane) {
    const reigns = lane.leaders.map((reign) =>
      `${name(reign.server)} leads term ${reign.term} from ${seconds(reign.from)} to ${seconds(reign.until)}`);
    return `Over the whole scene: ${reigns.join("; ")}. Elections: ${lane.elections.length}. Commits: ${lane.commits.length}.`;
  }

  draw(time) {
    this.head.style.left = this.percent(time);
    this.future.style.left = this.percent(time);
  }
}
