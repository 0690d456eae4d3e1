// The stages of a job as a picture: what reads what, how far each is, and what went through it.
import { svg, put } from "/ui/dom.js";
import { brief, bytes, count, duration } from "/ui/format.js";

const WIDTH = 216;
const HEIGHT = 112;
const GAP_X = 64;
const GAP_Y = 20;
const LINE_MAX = 29;

/** A stage stands one column behind the last one that it reads. */
function columns(stages) {
  const depth = new Map();
  for (const stage of stages) depth.set(stage.id, Math.max(-1, ...stage.inputs.map((id) => depth.get(id) ?? 0)) + 1);
  const rows = new Map();
  return new Map(stages.map((stage) => {
    const column = depth.get(stage.id);
    const row = rows.get(column) ?? 0;
    rows.set(column, row + 1);
    return [stage.id, { x: column * (WIDTH + GAP_X) + 1, y: row * (HEIGHT + GAP_Y) + 1 }];
  }));
}

export function stageState(stage, job) {
  if (stage.tasks > 0 && stage.tasks_done === stage.tasks) return "done";
  if (job.state === "failed" || job.state === "cancelled") return stage.tasks_done || stage.metrics.elapsed_ms ? job.state : "waiting";
  return stage.tasks_running > 0 ? "running" : "waiting";
}

/** Two lines of at most `LINE_MAX` characters. */
function lines(label) {
  const words = label.split(" ");
  const found = ["", ""];
  let at = 0;
  for (const word of words) {
    if (at === 0 && (found[0] + word).length > LINE_MAX) at = 1;
    found[at] += (found[at] ? " " : "") + word;
  }
  return found.map((line) => (line.length > LINE_MAX ? `${line.slice(0, LINE_MAX - 1)}…` : line));
}

function node(stage, place, job, spread, onPick) {
  const { metrics } = stage;
  const kind = stageState(stage, job);
  const share = stage.tasks ? stage.tasks_done / stage.tasks : 0;
  const took = spread ? duration((spread.ended_at ? new Date(spread.ended_at) : new Date()) - new Date(spread.started_at)) : "";
  const read = metrics.input_rows + metrics.shuffle_read_rows;
  const readBytes = metrics.input_bytes + metrics.shuffle_local_bytes + metrics.shuffle_remote_bytes;
  const tasks = stage.tasks ? `${count(stage.tasks_done)} / ${count(stage.tasks)} tasks` : "tasks not known yet";
  const [first, second] = lines(stage.label);
  const said = `Stage ${stage.id}, ${stage.label}: ${kind}, ${tasks}, read ${count(read)} rows, wrote ${count(metrics.output_rows)} rows, spilled ${bytes(metrics.spilled_bytes)}`;
  return svg("g", { class: `stage ${kind}`, transform: `translate(${place.x} ${place.y})`, role: "button", tabindex: 0, "aria-label": said,
    onclick: () => onPick(stage.id),
    onkeydown: (event) => { if (event.key === "Enter" || event.key === " ") { event.preventDefault(); onPick(stage.id); } } },
    svg("title", {}, `${stage.label}\n${said}`),
    svg("rect", { class: "box", width: WIDTH, height: HEIGHT, rx: 6 }),
    svg("rect", { class: "track", x: 12, y: 50, width: WIDTH - 24, height: 5, rx: 2.5 }),
    svg("rect", { class: "level", x: 12, y: 50, width: ((WIDTH - 24) * share).toFixed(1), height: 5, rx: 2.5 }),
    svg("text", { x: 12, y: 20, class: "label" }, first),
    svg("text", { x: 12, y: 37, class: "label" }, second),
    svg("text", { x: 12, y: 72 }, tasks),
    svg("text", { x: WIDTH - 12, y: 72, class: "end" }, took),
    svg("text", { x: 12, y: 87 }, `${brief(read)} → ${brief(metrics.output_rows)} rows`),
    svg("text", { x: WIDTH - 12, y: 87, class: "end" }, `stage ${stage.id}`),
    svg("text", { x: 12, y: 102 }, `${bytes(readBytes)} → ${bytes(metrics.output_bytes)}`),
    metrics.spilled_bytes ? svg("text", { x: WIDTH - 12, y: 102, class: "end warn" }, `${bytes(metrics.spilled_bytes)} spilled`) : null);
}

export function drawGraph(parent, job, spreads, onPick) {
  const stages = job.stages ?? [];
  if (!stages.length) return false;
  const places = columns(stages);
  const all = [...places.values()];
  const width = Math.max(...all.map((place) => place.x)) + WIDTH + 1;
  const height = Math.max(...all.map((place) => place.y)) + HEIGHT + 1;
  const edges = stages.flatMap((stage) => stage.inputs.map((input) => {
    const from = places.get(input);
    const to = places.get(stage.id);
    if (!from || !to) return null;
    const [x1, y1, x2, y2] = [from.x + WIDTH, from.y + HEIGHT / 2, to.x, to.y + HEIGHT / 2];
    const bend = Math.max(GAP_X / 2, (x2 - x1) / 2);
    return svg("path", { class: "edge", d: `M${x1} ${y1}C${x1 + bend} ${y1} ${x2 - bend} ${y2} ${x2} ${y2}` });
  }));
  const focused = parent.contains(document.activeElement) ? [...parent.querySelectorAll(".stage")].indexOf(document.activeElement) : -1;
  const bySpread = new Map(spreads.map((spread) => [spread.stage, spread]));
  put(parent, svg("svg", { class: "graph", width, height, viewBox: `0 0 ${width} ${height}` },
    edges, stages.map((stage) => node(stage, places.get(stage.id), job, bySpread.get(stage.id), onPick))));
  if (focused >= 0) parent.querySelectorAll(".stage")[focused]?.focus();
  return true;
}
