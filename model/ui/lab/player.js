// The player: what time it is in the scene, and how it passes.
//
// Where a person asks for less motion, time does not flow: it goes from one moment to the next.

import { calm, el, icon, say, seconds } from "./dom.js";

// How much slower than true time, how long a sentence is held, in milliseconds, and what the button
// says.
const SPEEDS = [
  [16, 2600, "speed 1/16"],
  [8, 1300, "speed 1/8"],
  [4, 500, "speed 1/4"],
  [1, 0, "real time"],
];
// How long a moment is shown where time does not flow, in milliseconds at the usual speed.
const DWELL = 2200;

export class Player {
  constructor(root, onTime) {
    this.onTime = onTime;
    this.time = 0;
    this.end = 1;
    this.speed = 1;
    this.playing = false;
    // The times at which something happens, for steps; and those of every message, for small steps.
    this.moments = [];
    this.fine = [];
    this.build(root);
  }

  build(root) {
    const button = (label, text, action, id) =>
      el("button", { type: "button", "aria-label": label, title: label, id, onclick: action }, text);
    this.playButton = button("Play", icon("play"), () => this.toggle(), "play");
    this.speedButton = button("Change the speed: speed 1/8", SPEEDS[1][2], () => this.faster(1, true), "speed");
    this.slider = el("input", {
      type: "range", id: "scrub", min: 0, max: 1, step: 1, value: 0, "aria-label": "Time in the scene",
      oninput: () => { this.pause(); this.seek(Number(this.slider.value)); },
    });
    this.marks = el("div", { class: "marks", "aria-hidden": "true" });
    this.clock = el("output", { id: "clock", for: "scrub" }, "0.00 s");
    root.replaceChildren(
      button("To the start", icon("first"), () => { this.pause(); this.seek(0); }, "first"),
      button("Back to the previous moment", icon("back"), () => this.step(-1), "back"),
      this.playButton,
      button("On to the next moment", icon("next"), () => this.step(1), "next"),
      button("To the end", icon("last"), () => { this.pause(); this.seek(this.end); }, "last"),
      el("div", { class: "scrubber" }, this.slider, this.marks),
      this.clock,
      this.speedButton,
    );
  }

  // Takes another run; the time stays where it is, if it can.
  load({ end, moments, fine, marks, holds, time }) {
    this.end = end;
    this.extending = false;
    // Where something is told: time stands still there for as long as it takes to read it.
    this.holds = holds.filter(({ at }) => at > 0 && at < end).sort((a, b) => a.at - b.at);
    this.moments = [...new Set([0, ...moments, end])].filter((at) => at >= 0 && at <= end);
    this.moments.sort((a, b) => a - b);
    this.fine = [...new Set([...this.moments, ...fine])].filter((at) => at >= 0 && at <= end);
    this.fine.sort((a, b) => a - b);
    this.slider.max = end;
    this.marks.replaceChildren(...marks.map((at) => {
      const mark = el("span", {});
      mark.style.left = `${(at / end) * 100}%`;
      return mark;
    }));
    this.seek(Math.min(time, end));
  }

  seek(time) {
    this.time = Math.max(0, Math.min(this.end, time));
    this.slider.value = Math.round(this.time);
    this.slider.setAttribute("aria-valuetext", `${seconds(this.time)} of ${seconds(this.end)}`);
    say(this.clock, seconds(this.time));
    this.onTime(this.time);
  }

  step(direction, small = false) {
    this.pause();
    this.seek(this.neighbour(direction, small));
  }

  neighbour(direction, small) {
    const list = small ? this.fine : this.moments;
    const found = direction > 0 ? list.find((at) => at > this.time)
      : list.filter((at) => at < this.time).pop();
    return found === undefined ? (direction > 0 ? this.end : 0) : found;
  }

  toggle() {
    if (this.playing) return this.pause();
    if (this.time >= this.end) this.seek(0);
    this.playing = true;
    this.rest = 0;
    this.show();
    this.last = undefined;
    if (calm()) this.stepOn();
    else requestAnimationFrame((now) => this.frame(now));
  }

  pause() {
    this.playing = false;
    this.extending = false;
    clearTimeout(this.timer);
    this.show();
  }

  show() {
    this.playButton.replaceChildren(icon(this.playing ? "pause" : "play"));
    const label = this.playing ? "Pause" : "Play";
    this.playButton.setAttribute("aria-label", label);
    this.playButton.title = label;
    document.body.dataset.playing = this.playing;
    if (this.onPlaying) this.onPlaying(this.playing);
  }

  frame(now) {
    if (!this.playing) return;
    const passed = this.last === undefined ? 0 : Math.min(now - this.last, 250);
    this.last = now;
    const [slower, held] = SPEEDS[this.speed];
    this.rest = Math.max(0, (this.rest || 0) - passed);
    if (this.rest === 0) {
      const next = this.time + (passed * 1000) / slower;
      const hold = held > 0 && this.holds.find(({ at }) => at > this.time && at <= next);
      if (hold) this.rest = held * hold.weight;
      this.advance(hold ? hold.at : next);
    }
    if (this.playing) requestAnimationFrame((later) => this.frame(later));
  }

  stepOn() {
    if (!this.playing) return;
    this.advance(this.neighbour(1, false));
    const dwell = (DWELL * SPEEDS[this.speed][0]) / SPEEDS[1][0];
    if (this.playing) this.timer = setTimeout(() => this.stepOn(), dwell);
  }

  advance(time) {
    if (this.extending) return;
    this.seek(time);
    if (this.time < this.end) return;
    this.extending = Boolean(this.onEnd && this.onEnd());
    if (this.extending) return;
    this.pause();
    if (this.onOver) this.onOver();
  }

  faster(by, around = false) {
    const next = this.speed + by;
    this.speed = around ? (next + SPEEDS.length) % SPEEDS.length
      : Math.max(0, Math.min(SPEEDS.length - 1, next));
    const label = SPEEDS[this.speed][2];
    say(this.speedButton, label);
    this.speedButton.setAttribute("aria-label", `Change the speed: ${label}`);
    this.speedButton.title = `Change the speed: ${label}`;
  }
}
