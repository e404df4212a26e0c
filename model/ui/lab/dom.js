// Elements, and numbers as people read them.

const SVG = "http://www.w3.org/2000/svg";

function fill(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes || {})) {
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (value === true) node.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) node.setAttribute(name, value);
  }
  node.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined));
  return node;
}

// An element of the page.
export function el(tag, attributes, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

// An element of a drawing.
export function svg(tag, attributes, ...children) {
  return fill(document.createElementNS(SVG, tag), attributes, children);
}

export const byId = (id) => document.getElementById(id);

// Sets a text only where it changes: a screen reader would say it again.
export function say(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

// Rounded as the server rounds it.
export const seconds = (micros) => `${(Math.round(micros / 1e4) / 100).toFixed(2)} s`;

export const narrow = () => matchMedia("(max-width: 699px)").matches;

export const name = (server) => `n${server}`;

// The last element at or before this time of a list that is sorted by `at`; -1 before the first.
export function indexAt(list, time, key = "at") {
  let [low, high] = [0, list.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (list[middle][key] <= time) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}

export const calm = () => matchMedia("(prefers-reduced-motion: reduce)").matches;

const ICONS = {
  play: "M6 4l13 8l-13 8z", pause: "M6 4h4v16h-4zM14 4h4v16h-4z", first: "M5 4h3v16h-3zM20 4v16l-11 -8z",
  last: "M16 4h3v16h-3zM4 4l11 8l-11 8z", next: "M9 5l8 7l-8 7z", back: "M15 5l-8 7l8 7z",
};

// A picture on a button, which has its name elsewhere.
export function icon(which) {
  return svg("svg", { viewBox: "0 0 24 24", class: "icon", "aria-hidden": "true" }, svg("path", { d: ICONS[which] }));
}
