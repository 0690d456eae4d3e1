// The plan of each stage with what its operators did: rows, time, share of the stage's time. Panels stay open while figures change.
import { el, put } from "/ui/dom.js";
import { brief, bytes, count, duration, percent, plural } from "/ui/format.js";

const brieftime = (ms) => (ms > 0 && ms < 1 ? "< 1 ms" : duration(ms));

/** The cell of an operator: its line in the plan, and its own name where a worker runs another one in its place. */
function named(operator) {
  const [, own, rest] = /^([^\s:]+):?\s*(.*)$/.exec(operator.text ?? operator.name) ?? [null, operator.name, ""];
  const other = operator.text && own !== operator.name ? `run as ${operator.name}` : "";
  return el("td", { class: "main operator" },
    el("span", { class: `depth depth${Math.min(operator.depth, 12)}` }, own,
      rest || other ? el("span", { class: "note" }, [rest, other].filter(Boolean).join("; ")) : null));
}

function row(operator, all) {
  const figure = (label, value, title) => el("td", { "data-label": label, class: "figure", title }, value);
  return el("tr", {},
    named(operator),
    figure("Rows out", brief(operator.rows), `${count(operator.rows)}; the most of one task ${count(operator.max_rows)}`),
    figure("Time", brieftime(operator.compute_ms), `the longest of one task ${brieftime(operator.max_compute_ms)}`),
    figure("Share", percent(operator.compute_ms, all)),
    figure("Waited", operator.waited_ms ? brieftime(operator.waited_ms) : "–", `the longest of one task ${brieftime(operator.max_waited_ms)}`),
    figure("Spilled", operator.spilled_bytes ? bytes(operator.spilled_bytes) : "–", plural(operator.spills, "time")),
    figure("Memory, most", operator.max_memory_bytes ? bytes(operator.max_memory_bytes) : "–"));
}

function table(stage) {
  const all = stage.operators.reduce((sum, operator) => sum + operator.compute_ms, 0);
  const title = (name, at) => el("th", { class: at ? "figure" : null }, name);
  const heads = ["Operator", "Rows out", "Time", "Share", "Waited", "Spilled", "Memory, most"];
  const left = stage.tasks_left_out ? `, without ${plural(stage.tasks_left_out, "task")} beyond what is kept` : "";
  return [
    el("p", { class: "quiet" }, `Sums over ${plural(stage.tasks, "task")}${left}; time is that of each operator alone.`),
    el("div", { class: "scroll" }, el("table", { class: "cards operators" }, el("thead", {}, el("tr", {}, heads.map(title))),
      el("tbody", {}, stage.operators.map((operator) => row(operator, all))))),
  ];
}

/** What stands in the panel of a stage: figures where there are some, else `why` not and the text of its plan. */
export function drawOperators(node, stage, text, why) {
  const seen = JSON.stringify([stage ?? null, why]);
  if (node.seen === seen) return;
  node.seen = seen;
  put(node, stage ? table(stage) : [el("p", { class: "quiet" }, why), el("pre", { tabindex: 0 }, text)]);
}
