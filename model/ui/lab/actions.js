// What a person can do: each action is one more event of the script, at the time that is shown.

import { byId, el, name, say, seconds } from "./dom.js";

const RATES = [10, 25, 50, 100, 150, 200, 400];

export class Actions {
  // `act` takes the events to add, as an address has them without their time; `change` takes other
  // settings of the run.
  constructor(root, { act, remove, change, seek, choose, link }) {
    this.link = link;
    this.act = act;
    this.remove = remove;
    this.change = change;
    this.seek = seek;
    this.choose = choose;
    this.root = root;
    this.chosen = 0;
  }

  load(run) {
    const kept = this.chosen < run.settings.servers ? this.chosen : 0;
    this.chosen = kept;
    this.now = el("output", { id: "now" }, "");
    this.root.replaceChildren(
      el("h2", { id: "actions-title" }, "Your turn"),
      el("p", { class: "hint" }, "Whatever you do is done in every lane (each is a cluster of its own, side by side), at the moment that is shown: ", this.now, ". The future is then a new one."),
      el("div", { class: "panels" }, this.serverPanel(run), this.linkPanel(run), this.clusterPanel(run), this.scriptPanel(run)));
    this.pick(kept);
  }

  button(text, event, id) {
    return el("button", { type: "button", id, onclick: () => this.act([event()].flat()) }, text);
  }

  serverPanel(run) {
    const ids = Array.from({ length: run.settings.servers }, (_, id) => id);
    this.radios = ids.map((id) => el("input", {
      type: "radio", name: "server", id: `server-${id}`, value: id, onchange: () => this.choose(id),
    }));
    this.rate = el("select", { id: "rate" }, RATES.map((rate) =>
      el("option", { value: rate, selected: rate === 100 }, rate === 100 ? "true speed" : `${rate} %`)));
    const of = (verb) => () => `${verb}.${this.chosen}`;
    return el("fieldset", {},
      el("legend", {}, "A server"),
      el("div", { class: "choice" }, ids.map((id) => [this.radios[id], el("label", { for: `server-${id}` }, name(id))])),
      el("div", { class: "buttons" },
        this.button("Isolate", of("isolate"), "do-isolate"),
        this.button("Crash", of("crash"), "do-crash"),
        this.button("Restart", of("restart"), "do-restart"),
        this.button("Read here", of("read"), "do-read"),
        this.button("Make it campaign", of("campaign"), "do-campaign"),
        this.button("Hand over to it", of("transfer"), "do-transfer")),
      el("div", { class: "pair" },
        el("label", { for: "rate" }, "Its clock"), this.rate,
        this.button("Set", () => `rate.${this.chosen}.${this.rate.value}`, "do-rate")));
  }

  linkPanel(run) {
    const options = () => Array.from({ length: run.settings.servers }, (_, id) => el("option", { value: id }, name(id)));
    this.from = el("select", { id: "from" }, options());
    this.to = el("select", { id: "to" }, options());
    if (run.settings.servers > 1) this.to.value = "1";
    const link = (verb) => () => `${verb}.${this.from.value}.${this.to.value}`;
    const both = (verb) => () => [link(verb)(), `${verb}.${this.to.value}.${this.from.value}`];
    return el("fieldset", {},
      el("legend", {}, "A link"),
      el("div", { class: "pair" }, el("label", { for: "from" }, "From"), this.from, el("label", { for: "to" }, "to"), this.to),
      el("div", { class: "buttons" },
        this.button("Cut", link("cut"), "do-cut"),
        this.button("Cut both ways", both("cut"), "do-cut-both"),
        this.button("Heal", both("heal"), "do-heal-link"),
        this.button("Lose a message", link("drop"), "do-drop"),
        this.button("Heal all links", () => "heal", "do-heal")));
  }

  clusterPanel(run) {
    const ids = Array.from({ length: run.settings.servers }, (_, id) => id);
    const boxes = ids.map((id) => el("input", { type: "checkbox", id: `voter-${id}`, value: id, checked: true }));
    const members = () => `members.${boxes.filter((box) => box.checked).map((box) => box.value).join(".")}`;
    const seed = el("input", { type: "number", id: "seed", min: 0, max: 999999, value: run.settings.seed });
    const other = () => this.change({ seed: String((run.settings.seed + 1) % 1000000) });
    return el("fieldset", {},
      el("legend", {}, "The cluster"),
      el("div", { class: "buttons" }, this.button("Write", () => "propose", "do-write")),
      el("div", { class: "choice", role: "group", "aria-label": "Voters" }, "Voters", ids.map((id) => [boxes[id], el("label", { for: `voter-${id}` }, name(id))])),
      el("div", { class: "buttons" }, this.button("Make these the voters", members, "do-members")),
      el("div", { class: "pair" }, el("label", { for: "seed" }, "Random seed"), seed,
        el("button", { type: "button", onclick: () => this.change({ seed: seed.value }) }, "Use"),
        el("button", { type: "button", onclick: other }, "Another")),
      this.rules(run));
  }

  // The switches of each lane, in the free scene.
  rules(run) {
    if (run.scene.id !== "own") return null;
    const switches = [["p", "Pre-Vote"], ["s", "promise not to vote"], ["q", "check-quorum"]];
    const reads = [["", "Read-Index"], ["b", "bounded lease"], ["n", "naive lease"]];
    const texts = run.lanes.map((lane) => lane.switches);
    const set = (position, text) => {
      const lanes = [...texts];
      lanes[position] = text;
      this.change({ lanes: lanes.join("_") });
    };
    return el("div", { class: "rules" }, texts.map((text, position) => {
      const [letters, mutant = ""] = text.split("-");
      const on = switches.map(([letter]) => letter).filter((letter) => letters.includes(letter));
      const lease = reads.map(([letter]) => letter).find((letter) => letter && letters.includes(letter)) || "";
      const join = (list, read, broken) => `${list.join("") + read || "0"}${broken ? `-${broken}` : ""}`;
      const boxes = switches.map(([letter, label]) => {
        const id = `rule-${position}-${letter}`;
        const others = () => switches.map(([it]) => it).filter((it) => (it === letter) !== on.includes(it));
        const toggle = () => set(position, join(others(), lease, mutant));
        return el("span", { class: "box" }, el("input", { type: "checkbox", id, checked: on.includes(letter), onchange: toggle }), el("label", { for: id }, label));
      });
      const choice = (id, label, options, chosen, changed) => {
        const select = el("select", { id: `rule-${position}-${id}`, onchange: () => changed(select.value) },
          options.map(([value, text]) => el("option", { value, selected: value === chosen }, text)));
        return el("span", { class: "box" }, el("label", { for: select.id }, label), " ", select);
      };
      const mutants = [["", "none"], ...run.mutants.map(([it]) => [it, it])];
      const about = run.mutants.find(([it]) => it === mutant);
      return el("div", { class: "rule", role: "group", "aria-label": `Rules of lane ${position + 1}` },
        el("b", {}, `Lane ${position + 1}`), boxes,
        choice("reads", "reads by", reads, lease, (value) => set(position, join(on, value, mutant))),
        choice("broken", "broken rule", mutants, mutant, (value) => set(position, join(on, lease, value))),
        about ? el("span", { class: "hint" }, about[1]) : null);
    }));
  }

  scriptPanel(run) {
    const items = run.script.map((event, number) => el("li", {},
      el("button", { type: "button", class: "when", title: "Go there", onclick: () => this.seek(event.at * 1000) }, seconds(event.at * 1000)),
      el("span", {}, event.text),
      el("button", { type: "button", class: "away", "aria-label": `Remove: ${event.text}`, title: "Remove", onclick: () => this.remove(number) }, "✕")));
    if (items.length === 0) items.push(el("li", {}, el("span", {}, "Nothing yet.")));
    return el("fieldset", {},
      el("legend", {}, "The script"),
      el("ol", { class: "script" }, items),
      el("div", { class: "buttons" },
        el("a", { class: "button", href: `#scene=${run.scene.id}` }, "As the scene has it"),
        el("button", { type: "button", id: "copy", onclick: (event) => this.copy(event.currentTarget) }, "Copy the link")));
  }

  async copy(button) {
    try {
      await navigator.clipboard.writeText(this.link());
      say(button, "Copied");
    } catch {
      say(button, "Copy it from the address bar");
    }
  }

  pick(server) {
    this.chosen = server;
    if (this.radios && this.radios[server]) this.radios[server].checked = true;
  }

  draw(time) {
    say(this.now, seconds(time));
  }
}

// What the shapes and colours stand for.
export function legend() {
  const item = (glyph, text) => el("li", {}, el("span", { class: "glyph", "aria-hidden": "true" }, glyph), text);
  byId("legend").replaceChildren(
    el("summary", {}, "What is drawn"),
    el("ul", {},
      item("⬡", "A hexagon leads its term. The shaded area around it holds whoever answers it: a majority can decide; where they are fewer, it is grey."),
      item("○", "A circle follows. The ring around it runs out when nothing is heard from a leader: then it calls an election. A leader's ring is its lease."),
      item("◌", "A dashed circle asks whether it would win (Pre-Vote)."),
      item("◇", "A diamond is a candidate: it has raised its term and asks for votes."),
      item("●", "A dot is a heartbeat, a square carries entries, a small ring is an answer; votes and refusals say what they are."),
      item("✕", "A dashed link with a cross is cut in that direction; a cross on the way is a lost message."),
      item("▲", "In the strip: an election. Ticks are committed writes, ✕ is a wrong answer or a contradiction, a hatched gap has no leader. What is paler, and says later, is still to come."),
      item("▢", "A box of a log is an entry with its term: dashed until it is known to be committed, m where it names the members.")));
}
