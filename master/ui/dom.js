// Making elements. Text from users only ever becomes text: nothing here takes markup, and characters that would move or hide
// what stands around them are shown as what they are.

const SVG = "http://www.w3.org/2000/svg";
// Control characters but line break and tab; marks that turn or isolate the direction of text; invisible ones.
const UNSEEN = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ufff9-\ufffb]/g;

/** Text without characters that are not seen; each becomes a replacement character. */
export function clean(text) {
  return String(text ?? "").replace(UNSEEN, "\ufffd");
}

function fill(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else node.setAttribute(name, value === true ? "" : clean(value));
  }
  add(node, children);
  return node;
}

function add(node, children) {
  for (const child of children.flat(Infinity)) {
    if (child === undefined || child === null || child === false) continue;
    node.append(child instanceof Node ? child : clean(child));
  }
}

/** An HTML element with attributes and children; children that are not nodes become text. */
export function el(name, attributes, ...children) {
  return fill(document.createElement(name), attributes, children);
}

/** An SVG element. */
export function svg(name, attributes, ...children) {
  return fill(document.createElementNS(SVG, name), attributes, children);
}

/** Replaces what is in a node. */
export function put(node, ...children) {
  node.replaceChildren();
  add(node, children);
}

/** Sets the text of a node where it changed, so that selections and screen readers are left alone. */
export function say(node, text) {
  const shown = clean(text);
  if (node.textContent !== shown) node.textContent = shown;
}

/** Makes the children of a node those of a list: known ones are kept and changed in place, by key, in order. */
export function keyed(parent, items, keyOf, make) {
  const known = new Map([...parent.children].filter((child) => child.key).map((child) => [child.key, child]));
  const wanted = items.map((item) => {
    const key = keyOf(item);
    const text = JSON.stringify(item);
    const old = known.get(key);
    if (old && old.seen === text) return old;
    const child = make(item);
    child.key = key;
    child.seen = text;
    if (old && old.contains(document.activeElement)) requestAnimationFrame(() => child.querySelector("a,button")?.focus());
    return child;
  });
  const isSame = wanted.length === parent.children.length && wanted.every((child, at) => parent.children[at] === child);
  if (!isSame) parent.replaceChildren(...wanted);
}

/** The element with this id. */
export const the = (id) => document.getElementById(id);

/** A state as a word with its colour. */
export function state(name) {
  return el("span", { class: `state ${clean(name).replace(/[^a-z_]/g, "")}` }, String(name).replace("_", " "));
}

/** How full something is, for eyes and for screen readers. */
export function meter(value, max, label, kind = "") {
  const share = max > 0 ? Math.min(1, value / max) : 0;
  return el("span", { class: "meter", role: "img", "aria-label": label },
    svg("svg", { viewBox: "0 0 100 6", preserveAspectRatio: "none", "aria-hidden": "true" },
      svg("rect", { class: "track", width: 100, height: 6, rx: 1 }),
      svg("rect", { class: `level ${kind}`, width: (share * 100).toFixed(2), height: 6, rx: 1 })));
}

/** A message where a list would be. */
export function nothing(columns, ...children) {
  return el("tr", { class: "nothing" }, el("td", { colspan: columns }, ...children));
}

/** A tile: a title, a figure, and what there is to say of it. */
export function tile(title, value, note, kind = "", extra = null) {
  return el("div", { class: `tile ${kind}` }, el("h2", {}, title), el("p", { class: "value" }, value), extra, el("p", { class: "quiet" }, note));
}
