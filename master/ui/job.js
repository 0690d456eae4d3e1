// The page of a job: how far it is, why it is slow, what failed and where in the data.
import { clean, el, the, put, say, state, nothing, tile } from "/ui/dom.js";
import { get, ownId, query, calm } from "/ui/api.js";
import { confirmed } from "/ui/confirm.js";
import { follow } from "/ui/live.js";
import { attemptsTable } from "/ui/attempts.js";
import { drawGraph } from "/ui/graph.js";
import { drawTimeline } from "/ui/timeline.js";
import { drawOperators } from "/ui/operators.js";
import { growing } from "/ui/log.js";
import { Rates } from "/ui/rates.js";
import { brief, bytes, count, duration, percent, plural, time } from "/ui/format.js";

const id = ownId();
const rates = new Rates();
let job = null;
let spreads = [];
let timeline = null;
let plan = null;
let operators = [];
const panels = new Map();

function drawHead() {
  document.title = clean(`${job.state} · ${job.name || "job"} – Hearth`);
  say(the("name"), job.name || "(no name)");
  put(the("state"), state(job.state), job.waiting_for ? el("span", { class: "note warn" }, ` waits for ${job.waiting_for}`) : null);
  say(the("id"), job.id);
  the("cancel").hidden = Boolean(job.finished_at) || job.state === "committing";
  const states = job.details?.states ?? [];
  put(the("states"), states.map((change, at) => {
    const next = states[at + 1];
    const stayed = next ? new Date(next.since_at) - new Date(change.since_at) : null;
    return el("li", {}, state(change.state), el("span", { class: "quiet", title: change.since_at }, ` ${time(change.since_at)}`),
      stayed === null ? null : el("span", { class: "quiet" }, ` for ${duration(stayed)}`));
  }));
}

function drawTiles() {
  const { progress, metrics, attempts } = job;
  const rate = rates.of(job);
  const lost = [attempts.failed && `${attempts.failed} failed`, attempts.lost && `${attempts.lost} lost or repeated`, attempts.second && `${attempts.second} second (${attempts.second_won} won)`].filter(Boolean).join(", ");
  const local = job.locality.local + job.locality.remote;
  put(the("tiles"),
    tile(job.finished_at ? "Took" : "Runs for", duration(job.duration_ms), job.finished_at ? `ended ${time(job.finished_at)}` : job.time_left_ms === null ? "time left not known yet" : `about ${duration(job.time_left_ms)} left`),
    tile("Tasks", progress.tasks ? `${count(progress.tasks_done)} / ${count(progress.tasks)}` : "–", `${progress.stages_done} of ${plural(progress.stages, "stage")} done`),
    tile("Read", bytes(metrics.input_bytes), `${brief(metrics.input_rows)} records, ${bytes(rate.bytes)}/s`),
    tile("Shuffled", bytes(metrics.shuffle_local_bytes + metrics.shuffle_remote_bytes), `${bytes(metrics.shuffle_remote_bytes)} from other workers`),
    tile("Spilled", bytes(metrics.spilled_bytes), metrics.spilled_bytes ? "memory was short" : "memory suffices", metrics.spilled_bytes ? "warn" : ""),
    tile("Attempts", count(attempts.launched), lost || "all well", attempts.failed || attempts.lost ? "warn" : ""),
    local ? tile("Near the data", percent(job.locality.local, local), `${count(job.locality.remote)} read from another host`) : null);
}

function drawFailure() {
  const { failure, details } = job;
  the("failure").hidden = !failure;
  if (!failure) return;
  const { place } = failure;
  const failedIn = details?.failed_in;
  const facts = [
    ["Cause", failure.cause.replaceAll("_", " ")],
    place && ["File", place.file],
    place?.line && ["Line", count(place.line)],
    place?.byte !== null && place?.byte !== undefined && ["Byte", count(place.byte)],
    place?.column && ["Column", place.column],
    failedIn && ["Attempt", `stage ${failedIn.stage}, task ${failedIn.partition}, attempt ${failedIn.attempt}`],
    failedIn && ["Worker", el("a", { href: `/workers/${failedIn.worker}` }, failedIn.host ?? failedIn.worker)],
    failedIn?.reads && ["Reads", failedIn.reads],
  ].filter(Boolean);
  put(the("failure"), el("h2", {}, "Why it failed"), el("p", { class: "reason" }, failure.message),
    el("dl", {}, facts.map(([name, value]) => [el("dt", {}, name), el("dd", {}, value)])));
}

function drawInputs() {
  const records = new Map(job.inputs.map((input) => [input.input, input]));
  const files = job.details?.input_files ?? [];
  const known = new Set(files.map((input) => input.input));
  const rows = [...files, ...job.inputs.filter((input) => !known.has(input.input)).map((input) => ({ input: input.input, paths: [] }))];
  const figure = (value) => (value === undefined || value === null ? "–" : count(value));
  put(the("inputs").tBodies[0], rows.length ? rows.map((input) => {
    const found = records.get(input.input);
    return el("tr", {},
      el("td", { class: "main" }, input.input, input.paths.slice(0, 5).map((path) => el("span", { class: "note" }, path)),
        input.paths.length > 5 ? el("span", { class: "note" }, `and ${count(input.paths.length - 5)} more`) : null),
      el("td", { "data-label": "Format" }, input.format ?? "–"),
      el("td", { "data-label": "Files", class: "figure" }, figure(input.files)),
      el("td", { "data-label": "Splits", class: "figure" }, figure(input.splits)),
      el("td", { "data-label": "Size", class: "figure" }, input.bytes === undefined || input.bytes === null ? "–" : bytes(input.bytes)),
      el("td", { "data-label": "Records read", class: "figure" }, figure(found?.records)),
      el("td", { "data-label": "Used", class: "figure" }, figure(found?.used)),
      el("td", { "data-label": "Rejected", class: "figure" }, found?.rejected ? el("span", { class: "state failed" }, count(found.rejected)) : figure(found?.rejected)));
  }) : nothing(8, "It reads nothing."));
  const rejects = job.inputs.flatMap((input) => input.first_rejects.map((reject) => [input.input, reject]));
  put(the("rejects"), rejects.length ? [
    el("h3", {}, "The first rejects"),
    el("ul", { class: "rejects" }, rejects.map(([input, reject]) => el("li", {}, el("strong", {}, `${input}: `), reject.reason,
      el("span", { class: "note" }, [reject.place.file, reject.place.line && `line ${count(reject.place.line)}`, reject.place.column && `column ${reject.place.column}`].filter(Boolean).join(", "))))),
  ] : null);
}

function drawOutput() {
  const { output, details } = job;
  const files = details?.output_files ?? [];
  if (!output) {
    put(the("output"), el("p", { class: "quiet" }, job.has_result ? ["Its rows are kept: ", el("code", {}, `hearth fetch ${job.id}`)] : job.finished_at ? "It left nothing." : "Nothing is visible before the job is done."));
    return;
  }
  put(the("output"),
    el("p", {}, el("code", {}, output.path), ` ${plural(output.rows, "row")}, ${bytes(output.bytes)} in ${plural(output.files, "file")}`),
    output.rejects ? el("p", {}, "Rejects: ", el("code", {}, output.rejects)) : null,
    files.length ? el("details", { open: files.length <= 10 }, el("summary", {}, files.length < output.files ? `The first ${count(files.length)} files` : "Files"),
      el("div", { class: "scroll" }, el("table", {}, el("thead", {}, el("tr", {}, el("th", {}, "File"), el("th", { class: "figure" }, "Rows"), el("th", { class: "figure" }, "Size"))),
        el("tbody", {}, files.map((file) => el("tr", {}, el("td", {}, file.path), el("td", { class: "figure" }, count(file.rows)), el("td", { class: "figure" }, bytes(file.bytes)))))))) : null);
}

async function drawPlan() {
  plan = await get(`/jobs/${id}/plan`).catch(() => null);
  if (!plan) return put(the("plan"), el("p", { class: "quiet" }, "The plan of this job is not kept any more."));
  const part = (title, text) => (text ? el("details", {}, el("summary", {}, title), el("pre", { tabindex: 0 }, text)) : null);
  const label = (stage) => job.stages?.[stage]?.label ?? "";
  const panel = (text, stage) => {
    panels.set(stage, el("div"));
    return el("details", { open: plan.stages.length <= 4 }, el("summary", {}, `Stage ${stage}: ${label(stage)}`), panels.get(stage));
  };
  put(the("plan"),
    plan.stages.map(panel),
    part("Logical plan", plan.logical), part("Physical plan", plan.physical),
    plan.physical ? null : el("p", { class: "quiet" }, "There is no plan yet."),
    part("Configuration", JSON.stringify(plan.configuration, null, 2)));
  return drawPanels();
}

function drawPanels() {
  const why = job.finished_at ? "What its operators did is not known: none of its tasks was done." : "No task of it has ended yet.";
  panels.forEach((node, stage) => drawOperators(node, operators.find((known) => known.stage === stage), plan.stages[stage], why));
}

function pick(stage) {
  const form = the("attempts-filter");
  form.elements.stage.value = String(stage);
  form.dispatchEvent(new Event("input"));
  the("tasks").scrollIntoView({ block: "start" });
}

function drawStages() {
  if (!drawGraph(the("graph"), job, spreads, pick)) put(the("graph"), el("p", { class: "quiet" }, job.finished_at ? "It ended before it had stages." : "The stages are not known before the job is planned."));
  const select = the("attempts-filter").elements.stage;
  const stages = job.stages ?? [];
  if (select.options.length !== stages.length + 1) put(select, el("option", { value: "" }, "all"), stages.map((stage) => el("option", { value: stage.id }, `${stage.id}`)));
}

function drawSpreads() {
  const labels = new Map((job.stages ?? []).map((stage) => [stage.id, stage.label]));
  const ended = spreads.filter((stage) => stage.attempts);
  the("spreads").hidden = !ended.length && Boolean(job.finished_at);
  put(the("spreads").tBodies[0], ended.length ? ended.map((stage) => el("tr", {},
    el("td", { class: "main" }, `${stage.stage} `, el("span", { class: "note" }, labels.get(stage.stage) ?? "")),
    el("td", { "data-label": "Attempts", class: "figure" }, count(stage.attempts)),
    ["min", "median", "p95", "max"].map((name, at) => el("td", { "data-label": ["Fastest", "Median", "95 %", "Slowest"][at], class: "figure" }, duration(stage.duration_ms[name]))),
    el("td", { "data-label": "Read, median", class: "figure" }, bytes(stage.read_bytes.median)),
    el("td", { "data-label": "Read, most", class: "figure" }, bytes(stage.read_bytes.max)),
    el("td", { "data-label": "Spilled, most", class: "figure" }, stage.spilled_bytes.max ? bytes(stage.spilled_bytes.max) : "–"))) : nothing(9, "No attempt has ended yet."));
}

function draw() {
  drawHead();
  drawTiles();
  drawFailure();
  drawInputs();
  drawOutput();
  drawStages();
}

const loadAttempts = attemptsTable((asked) => get(`/jobs/${id}/attempts?${query(asked)}`), false);
const refreshAttempts = calm(async () => {
  await loadAttempts();
  spreads = (await get(`/jobs/${id}/spreads`)).stages;
  drawSpreads();
  drawStages();
  timeline = await get(`/jobs/${id}/timeline`);
  drawTimeline(the("timeline"), timeline);
  operators = (await get(`/jobs/${id}/operators`)).stages;
  drawPanels();
});
const refreshPlan = calm(drawPlan);

const readLog = growing(the("log"), the("log-more"), (cursor) => get(`/jobs/${id}/logs?cursor=${cursor}`));
const refreshLog = calm(async () => {
  const mayGrow = await readLog();
  // Workers tell of a job for a moment after its end, and no event tells of that.
  if (mayGrow && job.finished_at) setTimeout(refreshLog, 2000);
  the("log-section").hidden = !the("log").hasChildNodes();
}, 3000);

async function refresh() {
  try {
    job = await get(`/jobs/${id}`);
  } catch (error) {
    say(the("name"), error.status === 404 || error.status === 400 ? "No such job" : "…");
    say(the("said"), error.message);
    return;
  }
  say(the("said"), "");
  the("as-json").href = `/api/v1/jobs/${id}`;
  put(the("sql"), job.query);
  draw();
  refreshPlan();
  refreshAttempts();
  refreshLog();
}

follow(
  () => query({ job: decodeURIComponent(id) }),
  {
    job: (event) => {
      const before = job;
      job = { ...event, query: job?.query };
      rates.note(job);
      draw();
      if (!plan?.physical && job.stages?.length) refreshPlan();
      if (job.finished_at && !before?.finished_at) { refreshAttempts(); refreshLog(); }
    },
    attempts: () => { refreshAttempts(); refreshLog(); },
  },
  refresh,
);

confirmed(the("cancel"), {
  sure: "Cancel it: sure?",
  path: `/jobs/${id}/cancel`,
  done: "The job is cancelled.",
  failed: "It was not cancelled",
});

let resized = null;
addEventListener("resize", () => { clearTimeout(resized); resized = setTimeout(() => { if (timeline) drawTimeline(the("timeline"), timeline); }, 150); });
