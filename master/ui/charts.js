// Small charts of the last hour.
import { el, svg, put } from "/ui/dom.js";
import { duration } from "/ui/format.js";

const WIDTH = 360;
const HEIGHT = 64;
const SAMPLES = 360;
const SAMPLES_MIN = 30;

/** Draws one series. `limit` is a line that it cannot cross, such as the slots; `show` writes a value. */
export function chart(node, { title, values, limit, show, unit = "" }) {
  const most = Math.max(0, ...values);
  const top = Math.max(limit ?? 0, most) || 1;
  const now = values.at(-1) ?? 0;
  const span = Math.min(SAMPLES, Math.max(SAMPLES_MIN, values.length));
  const x = (at) => WIDTH - ((values.length - 1 - at) / (span - 1)) * WIDTH;
  const y = (value) => HEIGHT - 2 - (value / top) * (HEIGHT - 6);
  const points = values.map((value, at) => `${x(at).toFixed(1)},${y(value).toFixed(1)}`);
  const label = `${title}, last hour: now ${show(now)}${unit}, at most ${show(most)}${unit}`;
  const picture = svg("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", role: "img", "aria-label": label },
    svg("line", { class: "base", x1: 0, x2: WIDTH, y1: HEIGHT - 2, y2: HEIGHT - 2 }),
    limit ? svg("line", { class: "limit", x1: 0, x2: WIDTH, y1: y(limit), y2: y(limit) }) : null,
    points.length > 1
      ? [
        svg("polygon", { class: "area", points: `${x(0).toFixed(1)},${HEIGHT - 2} ${points.join(" ")} ${WIDTH},${HEIGHT - 2}` }),
        svg("polyline", { class: "line", points: points.join(" ") }),
      ]
      : null);
  put(node,
    el("figcaption", {}, el("span", { class: "what" }, title), el("strong", {}, `${show(now)}${unit}`),
      el("span", { class: "quiet" }, values.length > 1 ? `most ${show(most)}${unit}` : "measured every ten seconds")),
    picture,
    el("p", { class: "axis quiet", "aria-hidden": "true" }, el("span", {}, `${duration(span * 10000).replace(" 0 s", "").replace(" 0 min", "")} ago`), el("span", {}, "now")));
}

/** The last hour, to which samples are added. */
export class Hour {
  constructor() { this.load = null; }

  set(load) { this.load = load; }

  add(next) {
    if (!this.load) return;
    for (const [name, list] of Object.entries(next)) {
      if (Array.isArray(list)) this.load[name] = [...this.load[name], ...list].slice(-SAMPLES);
    }
  }

  values(name) { return this.load?.[name] ?? []; }

  rates(name) { return this.values(name).map((value) => (value * 1000) / this.load.interval_ms); }
}
