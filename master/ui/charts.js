// Small charts of the last hour.
import { el, svg, put } from "/ui/dom.js";
import { duration } from "/ui/format.js";

const WIDTH = 360;
const HEIGHT = 64;
const SAMPLES = 360;
const HOUR_MS = 3600000;
const SPAN_MS_MIN = 300000;

/** Draws one series. `limit` is a line that it cannot cross: one value, or one for each
    sample, such as the slots; `show` writes a value. */
export function chart(node, { title, values, hour, limit, show, unit = "" }) {
  const most = Math.max(0, ...values);
  const limits = Array.isArray(limit) ? limit : values.map(() => limit ?? 0);
  const top = Math.max(0, ...limits, most) || 1;
  const now = values.at(-1) ?? 0;
  const { times, interval } = hour;
  const last = times.at(-1) ?? 0;
  const span = Math.min(HOUR_MS, Math.max(SPAN_MS_MIN, last - (times[0] ?? last) + interval));
  const x = (time) => WIDTH - ((last - time) / span) * WIDTH;
  const y = (value) => HEIGHT - 2 - (value / top) * (HEIGHT - 6);
  const parts = runs(times, interval);
  const label = `${title}, last hour: now ${show(now)}${unit}, at most ${show(most)}${unit}`;
  const picture = svg("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", role: "img", "aria-label": label },
    svg("line", { class: "base", x1: 0, x2: WIDTH, y1: HEIGHT - 2, y2: HEIGHT - 2 }),
    parts.slice(1).map((part, at) => {
      const from = x(times[parts[at].to - 1]);
      const gap = { class: "gap", x: from, width: x(times[part.from] - interval) - from, y: 0, height: HEIGHT - 2 };
      return svg("rect", gap, svg("title", {}, "not measured: no master ran"));
    }),
    parts.map(({ from, to }) => {
      // A sample stands for the time before it.
      const line = (list) => [[times[from] - interval, list[from]], ...times.slice(from, to).map((time, at) => [time, list[from + at]])]
        .map(([time, value]) => `${x(time).toFixed(1)},${y(value).toFixed(1)}`).join(" ");
      const points = line(values);
      const ends = [times[from] - interval, times[to - 1]].map((time) => `${x(time).toFixed(1)},${HEIGHT - 2}`);
      return [
        svg("polygon", { class: "area", points: `${ends[0]} ${points} ${ends[1]}` }),
        limit ? svg("polyline", { class: "limit", points: line(limits) }) : null,
        svg("polyline", { class: "line", points }),
      ];
    }));
  put(node,
    el("figcaption", {}, el("span", { class: "what" }, title), el("strong", {}, `${show(now)}${unit}`),
      el("span", { class: "quiet" }, values.length > 1 ? `most ${show(most)}${unit}` : "measured every ten seconds")),
    picture,
    el("p", { class: "axis quiet", "aria-hidden": "true" }, el("span", {}, `${duration(span).replace(" 0 s", "").replace(" 0 min", "")} ago`), el("span", {}, "now")));
}

/** Runs of samples without a gap between them: a master that does not run measures nothing. */
function runs(times, interval) {
  const found = [];
  times.forEach((time, at) => {
    if (at === 0 || time - times[at - 1] > 2.5 * interval) found.push({ from: at, to: at });
    found.at(-1).to = at + 1;
  });
  return found;
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

  get times() { return this.values("at").map((at) => Date.parse(at)); }

  get interval() { return this.load?.interval_ms ?? 0; }

  values(name) { return this.load?.[name] ?? []; }

  rates(name) { return this.values(name).map((value) => (value * 1000) / this.load.interval_ms); }
}
