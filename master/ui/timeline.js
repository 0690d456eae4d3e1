// When attempts ran, one lane per worker: gaps, stragglers, retries and second attempts show at once.
import { el, svg, put } from "/ui/dom.js";
import { duration, plural } from "/ui/format.js";

const BAR = 9;
const ROWS_MAX = 12;
const LEFT = 150;
const LANES_MAX = 40;
const NARROW = 560;

/** Bars of a lane in rows, so that none covers another; what finds no row shares the last one. */
function rows(bars, length) {
  const ends = [];
  return bars.map((bar) => {
    const end = bar.end_ms ?? length;
    let row = ends.findIndex((last) => last <= bar.start_ms);
    if (row < 0) row = Math.min(ends.length, ROWS_MAX - 1);
    ends[row] = Math.max(ends[row] ?? 0, end);
    return { bar, row, end };
  });
}

function step(length) {
  const wanted = length / 6;
  return [10, 50, 100, 500, 1000, 5000, 10000, 30000, 60000, 300000, 600000, 1800000, 3600000, 21600000]
    .find((size) => size >= wanted) ?? 86400000;
}

export function drawTimeline(parent, timeline) {
  if (!timeline.lanes.length) {
    put(parent, el("p", { class: "quiet" }, "No attempt was launched yet."));
    return;
  }
  const left = parent.clientWidth < NARROW ? 4 : LEFT;
  const width = Math.max(300, parent.clientWidth);
  const length = Math.max(1, timeline.length_ms);
  const x = (ms) => left + (Math.min(ms, length) / length) * (width - left - 4);
  const drawn = [];
  let y = 22;
  for (const lane of timeline.lanes.slice(0, LANES_MAX)) {
    const placed = rows(lane.bars, length);
    const height = (Math.max(...placed.map((one) => one.row)) + 1) * (BAR + 2) + 8;
    const name = lane.host ?? lane.worker.slice(0, 8);
    if (left === 4) y += 14;
    drawn.push(svg("g", { class: "lane", transform: `translate(0 ${y})` },
      svg("line", { class: "base", x1: 0, x2: width, y1: -2, y2: -2 }),
      svg("a", { href: `/workers/${lane.worker}` },
        left === 4
          ? svg("text", { x: 4, y: -5, class: "name" }, `${name} · ${lane.worker.slice(-6)}`)
          : [svg("text", { x: 0, y: 10, class: "name" }, name.length > 20 ? `${name.slice(0, 19)}…` : name),
            height > 24 ? svg("text", { x: 0, y: 22, class: "quiet" }, `… ${lane.worker.slice(-6)}`) : null]),
      placed.map(({ bar, row, end }) => svg("rect", {
        class: `bar ${bar.outcome}${bar.is_second ? " second" : ""} shade${bar.stage % 3}`,
        x: x(bar.start_ms).toFixed(1), y: row * (BAR + 2) + 2, width: Math.max(1.5, x(end) - x(bar.start_ms) - 0.6).toFixed(1), height: BAR, rx: 1.5,
      }, svg("title", {}, `stage ${bar.stage}, task ${bar.partition}, attempt ${bar.attempt}${bar.is_second ? " (second)" : ""}: ${bar.outcome}, ${duration(end - bar.start_ms)}`)))));
    y += height;
  }
  const ticks = [];
  for (let ms = 0; ms <= length; ms += step(length)) {
    ticks.push(svg("line", { class: "tick", x1: x(ms), x2: x(ms), y1: 18, y2: y }), svg("text", { x: x(ms) + 3, y: 12, class: "quiet" }, ms ? duration(ms).replace(".0 s", " s") : "0"));
  }
  const shown = timeline.lanes.reduce((sum, lane) => sum + lane.bars.length, 0);
  const label = `${plural(shown, "attempt")} on ${plural(timeline.lanes.length, "worker")} in ${duration(length)}; the table below has them all`;
  const present = new Set(timeline.lanes.flatMap((lane) => lane.bars.flatMap((bar) => (bar.is_second ? [bar.outcome, "second"] : [bar.outcome]))));
  const kinds = ["running", "done", "repeated", "failed", "cancelled", "lost", "second"].filter((kind) => present.has(kind));
  put(parent,
    svg("svg", { class: "timeline", width, height: y + 2, viewBox: `0 0 ${width} ${y + 2}`, role: "group", "aria-label": label }, ticks, drawn),
    el("p", { class: "legend quiet" },
      kinds.map((kind) => el("span", {}, svg("svg", { width: 12, height: 10, "aria-hidden": "true" },
        svg("rect", { class: `bar ${kind === "second" ? "done second" : kind}`, x: 1, y: 1, width: 10, height: 8, rx: 1.5 })), kind === "second" ? "second attempt" : kind)),
      timeline.left_out ? el("span", {}, `${plural(timeline.left_out, "ordinary attempt")} not drawn`) : null,
      timeline.lanes.length > LANES_MAX ? el("span", {}, `${plural(timeline.lanes.length - LANES_MAX, "more worker")} not drawn`) : null));
}
