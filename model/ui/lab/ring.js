// The servers of a lane in a ring, the links between them, and the messages on the way.

import { calm, indexAt, name, svg } from "./dom.js";

const [WIDTH, HEIGHT, NODE] = [380, 308, 27];
// How far apart the two directions of a link are.
const APART = 5;
// How long a lost message is seen to be lost, in microseconds.
const LOST = 60_000;

const ROLES = {
  follower: "follower", "pre-candidate": "asks first", candidate: "candidate", leader: "leader",
};
const PILLS = { ask: "would you?", vote: "vote!", yes: "yes", no: "no" };

// What a server is, in words.
export function role(view) {
  if (view.stopped) return "stopped";
  if (!view.up) return "down";
  if (!view.votes && view.role === "follower") return "learner";
  return ROLES[view.role];
}

// What its clock shows at this time of the scene.
export function clockAt(view, time) {
  const [since, shows, rate] = view.clock;
  return shows + ((time - since) * rate) / 100;
}

export class Ring {
  constructor(lane, run, choose) {
    this.lane = lane;
    this.run = run;
    this.count = run.settings.servers;
    this.places = this.arrange();
    this.blobs = svg("g", {});
    this.lines = svg("g", {});
    this.moving = svg("g", { class: "moving" });
    this.servers = this.places.map((_, server) => this.server(server, choose));
    this.links = this.buildLinks();
    this.reader = svg("text", { class: "reader", x: WIDTH / 2, y: HEIGHT / 2 - 4 });
    this.root = svg("svg", {
      viewBox: `0 0 ${WIDTH} ${HEIGHT}`, class: "ring", role: "group",
      "aria-label": `The servers of ${lane.title}`,
    }, this.blobs, this.lines, this.reader,
    this.moving, this.servers.map((server) => server.group));
    this.pool = [];
  }

  arrange() {
    const radius = this.count > 1 ? 104 : 0;
    const shift = this.count === 3 ? 20 : 14;
    return Array.from({ length: this.count }, (_, i) => {
      const angle = (i / this.count) * 2 * Math.PI - Math.PI / 2;
      return [WIDTH / 2 + radius * 1.28 * Math.cos(angle), HEIGHT / 2 + shift + radius * Math.sin(angle)];
    });
  }

  // The two ends of a directed link, beside those of the other direction.
  ends(from, to) {
    const [[ax, ay], [bx, by]] = [this.places[from], this.places[to]];
    const length = Math.hypot(bx - ax, by - ay);
    const [ux, uy] = [(bx - ax) / length, (by - ay) / length];
    const [ox, oy] = [-uy * APART, ux * APART];
    const edge = NODE + 5;
    return [ax + ux * edge + ox, ay + uy * edge + oy, bx - ux * edge + ox, by - uy * edge + oy];
  }

  buildLinks() {
    const links = [];
    for (let from = 0; from < this.count; from += 1) {
      for (let to = 0; to < this.count; to += 1) {
        if (from === to) continue;
        const [x1, y1, x2, y2] = this.ends(from, to);
        const [mx, my] = [x1 + (x2 - x1) * 0.3, y1 + (y2 - y1) * 0.3];
        const [cx, cy] = [0, 1].map((axis) => (this.places[from][axis] + this.places[to][axis]) / 2);
        const cross = (kind, x, y, r) => svg("path", { class: kind, d: `M${x - r} ${y - r}l${2 * r} ${2 * r}m0 ${-2 * r}l${-2 * r} ${2 * r}` });
        const group = svg("g", { class: "link" }, svg("line", { x1, y1, x2, y2 }),
          cross("cross", mx, my, 4), from < to ? cross("middle", cx, cy, 6) : null);
        this.lines.append(group);
        links.push({ from, to, group });
      }
    }
    return links;
  }

  server(server, choose) {
    const [x, y] = this.places[server];
    const above = y < HEIGHT / 2 - 60;
    const shapes = {
      follower: svg("circle", { r: NODE }),
      "pre-candidate": svg("circle", { r: NODE }),
      candidate: svg("path", { d: diamond(NODE * 1.28) }),
      leader: svg("path", { d: hexagon(NODE * 1.16) }),
    };
    for (const [key, shape] of Object.entries(shapes)) shape.setAttribute("class", `shape ${key}`);
    const timer = svg("path", { class: "timer" });
    const id = svg("text", { class: "id", y: -2 }, name(server));
    const term = svg("text", { class: "term", y: 12 }, "");
    const label = svg("text", { class: "role", y: above ? -NODE - 13 : NODE + 20 }, "");
    const extra = svg("text", { class: "extra", y: above ? -NODE - 27 : NODE + 34 }, "");
    const cross = svg("path", { class: "down", d: "M-19 -19L19 19M19 -19L-19 19" });
    const group = svg("g", {
      class: "server", transform: `translate(${x} ${y})`, tabindex: 0, role: "button",
      "data-server": server,
      onclick: () => choose(server),
      onkeydown: (event) => {
        if (event.key === "Enter") { event.preventDefault(); choose(server); }
      },
    }, svg("circle", { class: "halo", r: NODE + 9 }), timer, Object.values(shapes), cross, id, term,
    label, extra);
    return { group, timer, term, label, extra, seen: null };
  }

  view(server, time) {
    const track = this.lane.tracks[server];
    return track[Math.max(0, indexAt(track, time))];
  }

  draw(time, chosen) {
    const views = this.places.map((_, server) => this.view(server, time));
    views.forEach((view, server) => this.drawServer(server, view, time, chosen === server));
    this.drawLinks(time);
    this.drawMajorities(views);
    this.drawMessages(time);
    this.drawReader(time);
    this.drawTold(time);
    return views;
  }

  // Marks the server of which something is being told.
  drawTold(time) {
    const last = indexAt(this.lane.notes, time);
    const note = last < 0 ? null : this.lane.notes[last];
    const told = note && note.tone !== "quiet" && time - note.at < 40_000 ? note.server : null;
    if (told === this.told) return;
    this.told = told;
    this.servers.forEach((drawn, server) => drawn.group.classList.toggle("told", server === told));
  }

  // What the client that reads was told last, or that it waits.
  drawReader(time) {
    const last = indexAt(this.lane.reads, time);
    const read = last < 0 ? null : this.lane.reads[last];
    const told = read && read.answered !== null && read.answered <= time;
    const key = read ? `${last}:${told}` : "";
    if (key === this.readKey) return;
    this.readKey = key;
    const known = this.lane.reads.slice(0, last + 1).filter((it) => it.answered !== null && it.answered <= time);
    const shown = known[known.length - 1];
    const waits = read && !told && (time - read.at > 90_000 || (shown && read.at - shown.at > 90_000 && this.waited(last)));
    let [kind, text] = ["", ""];
    if (waits) [kind, text] = ["waits", `no answer from ${name(read.server)}`];
    else if (shown && shown.value === null) [kind, text] = ["waits", `no answer from ${name(shown.server)}`];
    else if (shown) {
      kind = shown.stale ? "stale" : "right";
      text = `${name(shown.server)} answers ${shown.value} ${shown.stale ? `✕ newest is ${shown.newest}` : "✓"}`;
    }
    this.reader.dataset.kind = kind;
    const x = WIDTH / 2;
    this.reader.replaceChildren(...(text
      ? [svg("tspan", { x, class: "who" }, "a client reads:"), svg("tspan", { x, dy: 15 }, text)] : []));
  }

  drawServer(server, view, time, chosen) {
    const drawn = this.servers[server];
    const own = clockAt(view, time);
    const e = this.run.settings.election * 1000;
    const leads = view.role === "leader";
    const [left, whole] = leads ? [view.lease === null ? 0 : view.lease - own, e] : [view.timer - own, 2 * e];
    const part = view.up ? Math.max(0, Math.min(1, left / whole)) : 0;
    drawn.timer.setAttribute("d", arc(NODE + 6, part));
    drawn.timer.classList.toggle("lease", leads);
    const held = view.lease !== null && view.up;
    const lease = !held ? "" : left > 0 ? "lease" : "lease over";
    const rate = view.clock[2] === 100 ? "" : `clock ${view.clock[2]} %`;
    const extra = [rate, lease].filter((text) => text).join(", ");
    const key = `${extra}|${chosen}`;
    if (drawn.seen === view && drawn.key === key) return;
    drawn.seen = view;
    drawn.key = key;
    const what = role(view);
    drawn.group.dataset.role = view.up ? view.role : "down";
    drawn.group.dataset.chosen = chosen;
    drawn.group.setAttribute("aria-pressed", chosen);
    drawn.term.textContent = `term ${view.term}`;
    drawn.label.textContent = what;
    drawn.extra.textContent = extra;
    const known = view.role === "follower" && view.up && view.leader !== null
      ? `, follows ${name(view.leader)}` : "";
    drawn.group.setAttribute("aria-label",
      `${name(server)}, ${what}, term ${view.term}${known}${extra ? `, ${extra}` : ""}. Choose it`);
  }

  drawLinks(time) {
    const cut = (from, to) =>
      this.run.cuts.some((it) => it.from === from && it.to === to && it.at <= time && time < it.until);
    for (const { from, to, group } of this.links) {
      group.classList.toggle("cut", cut(from, to));
      group.classList.toggle("both", cut(from, to) && cut(to, from));
    }
  }

  // Around each leader, who counts for it: full where that is a majority.
  drawMajorities(views) {
    const leaders = views.map((view, server) => ({ view, server }))
      .filter(({ view }) => view.up && view.role === "leader");
    const key = leaders.map(({ view, server }) => `${server}:${view.support}:${view.decides}`).join(";");
    if (key === this.majorities) return;
    this.majorities = key;
    this.blobs.replaceChildren(...leaders.flatMap(({ view }, position) => {
      const points = around(view.support.map((id) => this.places[id]));
      const d = `M${points.map((point) => point.join(" ")).join("L")}Z`;
      const kind = `blob b${position} ${view.decides ? "full" : "short"}`;
      const title = `${view.support.map(name).join(" ")}: ${view.decides ? "a majority, by which the leader can decide" : "no majority, so the leader can decide nothing"}`;
      return [svg("path", { class: `${kind} edge`, d }), svg("path", { class: kind, d }, svg("title", {}, title))];
    }));
  }

  drawMessages(time) {
    const shown = [];
    const still = calm();
    for (const message of this.lane.messages) {
      if (message.sent > time) break;
      const gone = message.until + (message.lost ? LOST : 0);
      if (gone > time) shown.push(message);
    }
    shown.forEach((message, position) => {
      const mark = this.mark(position);
      const at = message.lost ? Math.min(time, message.until) : time;
      const lost = message.lost && time >= message.until;
      const whole = Math.max(1, message.due - message.sent);
      const part = still ? (lost ? 0.5 : 0.62) : Math.max(0, Math.min(1, (at - message.sent) / whole));
      this.place(mark, message, part, lost);
    });
    this.pool.slice(shown.length).forEach((mark) => mark.group.setAttribute("display", "none"));
  }

  // Whether the read before this one has had no answer either.
  waited(position) {
    const before = this.lane.reads[position - 1];
    return before !== undefined && before.value === null;
  }

  mark(position) {
    if (this.pool[position]) return this.pool[position];
    const title = svg("title", {});
    const text = svg("text", { y: 3.5 });
    const parts = {
      beat: svg("circle", { r: 3.2 }),
      ok: svg("circle", { r: 2.8 }),
      entries: svg("rect", { x: -4.5, y: -4.5, width: 9, height: 9, rx: 2 }),
      pill: svg("rect", { x: -17, y: -8, width: 34, height: 16, rx: 8 }),
      cross: svg("path", { d: "M-5 -5L5 5M5 -5L-5 5" }),
      arrow: svg("path", { d: "M7 -4L13 0L7 4" }),
    };
    for (const [key, part] of Object.entries(parts)) part.setAttribute("class", key);
    const group = svg("g", { class: "message" }, title, Object.values(parts), text);
    this.moving.append(group);
    const mark = { group, title, text, arrow: parts.arrow, pill: parts.pill };
    this.pool.push(mark);
    return mark;
  }

  place(mark, message, part, lost) {
    const [x1, y1, x2, y2] = this.ends(message.from, message.to);
    const [x, y] = [x1 + (x2 - x1) * part, y1 + (y2 - y1) * part];
    mark.group.removeAttribute("display");
    mark.group.setAttribute("transform", `translate(${x.toFixed(1)} ${y.toFixed(1)})`);
    const turn = (Math.atan2(y2 - y1, x2 - x1) * 180) / Math.PI;
    mark.arrow.setAttribute("transform", `rotate(${turn.toFixed(0)})`);
    if (mark.shown === message && mark.lost === lost) return;
    mark.shown = message;
    mark.lost = lost;
    mark.group.dataset.kind = lost ? "lost" : message.kind;
    mark.title.textContent = `${message.text}${lost ? ", lost" : ""}`;
    mark.text.textContent = lost ? "" : PILLS[message.kind] || "";
    const width = 14 + 6 * Math.max(4, mark.text.textContent.length);
    mark.pill.setAttribute("width", width);
    mark.pill.setAttribute("x", -width / 2);
  }
}

function diamond(r) {
  return `M0 ${-r}L${r} 0L0 ${r}L${-r} 0Z`;
}

function hexagon(r) {
  const corner = (i) => [Math.cos((i * Math.PI) / 3) * r, Math.sin((i * Math.PI) / 3) * r];
  return `M${[0, 1, 2, 3, 4, 5].map((i) => corner(i).map((n) => n.toFixed(1)).join(" ")).join("L")}Z`;
}

// A part of a circle, from the top on.
function arc(r, part) {
  if (part <= 0) return "";
  if (part >= 0.999) return `M0 ${-r}A${r} ${r} 0 1 1 -0.01 ${-r}`;
  const angle = part * 2 * Math.PI;
  return `M0 ${-r}A${r} ${r} 0 ${part > 0.5 ? 1 : 0} 1 ${(r * Math.sin(angle)).toFixed(1)} ${(-r * Math.cos(angle)).toFixed(1)}`;
}

// The points in the order of their angles around their middle.
function around(points) {
  const middle = [0, 1].map((axis) => points.reduce((sum, point) => sum + point[axis], 0) / points.length);
  const angle = ([x, y]) => Math.atan2(y - middle[1], x - middle[0]);
  return [...points].sort((a, b) => angle(a) - angle(b));
}
