// The cluster page: is it healthy, what runs, what waits, what has ended.
import { el, the, put, say, keyed, state, meter, nothing, tile } from "/ui/dom.js";
import { get, query, calm } from "/ui/api.js";
import { follow } from "/ui/live.js";
import { chart, Hour } from "/ui/charts.js";
import { Rates } from "/ui/rates.js";
import { brief, bytes, count, duration, percent, plural, time } from "/ui/format.js";

const WORKERS_PAGE = 50;
const JOBS_PAGE = 20;
const ACTIVE = "queued,planning,running,committing";
const ACTIVE_SHOWN = 200;

const active = new Map();
const rates = new Rates();
const hour = new Hour();
let cluster = null;

const jobLink = (job) => el("a", { href: `/jobs/${job.id}` }, job.name || "(no name)");

function drawTiles() {
  const { workers, jobs, slots, slots_used: used } = cluster;
  const here = workers.alive + workers.disconnected + workers.draining;
  const trouble = [
    workers.disconnected && `${workers.disconnected} disconnected`,
    workers.draining && `${workers.draining} draining`,
    workers.lost && `${workers.lost} lost`,
    cluster.workers_excluded && `${cluster.workers_excluded} excluded`,
  ].filter(Boolean);
  const isBad = here === 0 || workers.disconnected > 0 || cluster.workers_excluded > 0;
  const running = jobs.running + jobs.planning + jobs.committing;
  put(the("tiles"),
    tile("Workers", count(workers.alive), trouble.join(", ") || (here ? "all well" : "none yet"), isBad ? "warn" : ""),
    tile("Slots", [count(used), el("span", { class: "of" }, ` of ${count(slots)}`)], `${plural(cluster.tasks_waiting, "task")} waiting`, "",
      meter(used, slots, `${used} of ${slots} slots used`)),
    tile("Memory", [bytes(cluster.memory_bytes_used)], `of ${bytes(cluster.memory_bytes_max)}`, "",
      meter(cluster.memory_bytes_used, cluster.memory_bytes_max, `${percent(cluster.memory_bytes_used, cluster.memory_bytes_max)} of memory used`)),
    tile("Jobs", [count(running), el("span", { class: "of" }, " running")], `${count(jobs.queued)} queued`),
    tile("Ended", [count(jobs.done), el("span", { class: "of" }, " done")], [
      jobs.failed ? el("span", { class: "state failed" }, `${count(jobs.failed)} failed`) : "none failed",
      jobs.cancelled ? `, ${count(jobs.cancelled)} cancelled` : "",
    ]));
  say(the("address"), cluster.master);
  say(the("version"), `Hearth ${cluster.version}, up since ${time(cluster.started_at)}.`);
}

function drawCharts() {
  chart(the("chart-slots"), { title: "Slots used", hour, values: hour.values("slots_used"), limit: hour.values("slots"), show: count });
  chart(the("chart-throughput"), { title: "Read", hour, values: hour.rates("read_bytes"), show: bytes, unit: "/s" });
  chart(the("chart-memory"), { title: "Memory", hour, values: hour.values("memory_bytes_used"), limit: cluster?.memory_bytes_max, show: bytes });
}

function stagesCell(job) {
  const { progress } = job;
  if (!progress.tasks) return el("td", { "data-label": "Progress" }, el("span", { class: "quiet" }, job.waiting_for ? `waits for ${job.waiting_for}` : "–"));
  const label = `${progress.tasks_done} of ${progress.tasks} tasks done`;
  return el("td", { "data-label": "Progress" },
    meter(progress.tasks_done, progress.tasks, label),
    el("span", { class: "note" }, `${count(progress.tasks_done)} / ${count(progress.tasks)} tasks, ${progress.stages_done} / ${progress.stages} stages`),
    job.waiting_for ? el("span", { class: "note warn" }, `waits for ${job.waiting_for}`) : null);
}

function runningRow(job) {
  const { metrics } = job;
  const rate = rates.of(job);
  return el("tr", {},
    el("td", { class: "main" }, jobLink(job)),
    el("td", { "data-label": "State" }, state(job.state)),
    stagesCell(job),
    el("td", { "data-label": "Read", class: "figure" }, `${brief(metrics.input_rows)} rows`),
    el("td", { "data-label": "Rows/s", class: "figure" }, brief(Math.round(rate.rows))),
    el("td", { "data-label": "Bytes/s", class: "figure" }, `${bytes(rate.bytes)}/s`),
    el("td", { "data-label": "Runs for", class: "figure" }, duration(job.duration_ms)),
    el("td", { "data-label": "Left", class: "figure" }, job.time_left_ms === null ? "–" : `~ ${duration(job.time_left_ms)}`));
}

function drawJobs() {
  const jobs = [...active.values()].sort((a, b) => (a.id < b.id ? 1 : -1));
  const running = jobs.filter((job) => job.state !== "queued").slice(0, ACTIVE_SHOWN);
  const queued = jobs.filter((job) => job.state === "queued").reverse().slice(0, ACTIVE_SHOWN);
  say(the("running-count"), running.length ? count(running.length) : "");
  const body = the("running").tBodies[0];
  if (running.length) keyed(body, running, (job) => job.id, runningRow);
  else put(body, nothing(8, "Nothing runs. Submit a job: ", el("code", {}, `hearth submit --master ${cluster?.master ?? "hearth://HOST:7077"} job.toml`)));
  the("queue-section").hidden = queued.length === 0;
  say(the("queue-count"), count(queued.length));
  keyed(the("queue").tBodies[0], queued, (job) => job.id, (job) => el("tr", {},
    el("td", { class: "main" }, jobLink(job)),
    el("td", { "data-label": "Waits for" }, job.waiting_for ?? "–"),
    el("td", { "data-label": "Submitted" }, time(job.submitted_at))));
}

const later = (() => {
  let asked = false;
  return () => { if (!asked) { asked = true; requestAnimationFrame(() => { asked = false; drawJobs(); }); } };
})();

function finishedRow(job) {
  const out = job.output ? job.output.rows : job.metrics.output_rows;
  return el("tr", {},
    el("td", { class: "main" }, jobLink(job),
      job.failure ? el("span", { class: "note bad" }, job.failure.message) : null,
      job.output ? el("span", { class: "note" }, job.output.path) : null),
    el("td", { "data-label": "State" }, state(job.state)),
    el("td", { "data-label": "Records read", class: "figure" }, brief(job.metrics.input_rows)),
    el("td", { "data-label": "Rows out", class: "figure" }, job.output ? brief(out) : job.has_result ? "result" : "–"),
    el("td", { "data-label": "Took", class: "figure" }, duration(job.duration_ms)),
    el("td", { "data-label": "Ended" }, time(job.finished_at)));
}

const finished = { tokens: [""], next: null };
async function loadFinished() {
  const form = new FormData(the("finished-filter"));
  const asked = query({ state: form.get("state"), search: form.get("search"), page_size: JOBS_PAGE, page_token: finished.tokens.at(-1) });
  const page = await get(`/jobs?${asked}`);
  finished.next = page.next_page_token;
  const body = the("finished").tBodies[0];
  if (page.jobs.length) keyed(body, page.jobs, (job) => job.id, finishedRow);
  else put(body, nothing(6, form.get("search") || form.get("state") !== "done,failed,cancelled" ? "No finished job is like that." : "No job has ended yet."));
  the("finished-before").disabled = finished.tokens.length === 1;
  the("finished-next").disabled = !finished.next;
  say(the("finished-page"), finished.tokens.length > 1 || finished.next ? `page ${finished.tokens.length}` : "");
}

function workerRow(worker) {
  const isGone = worker.state === "lost" || worker.state === "left";
  const memory = percent(worker.memory_bytes_used, worker.memory_bytes_max);
  return el("tr", { class: isGone ? "gone" : "" },
    el("td", { class: "main" }, el("a", { href: `/workers/${worker.id}` }, worker.host),
      el("span", { class: "note" }, worker.shuffle_address),
      worker.excluded ? el("span", { class: "note warn" }, worker.excluded) : null),
    el("td", { "data-label": "State" }, state(worker.state)),
    el("td", { "data-label": "Slots" }, meter(worker.slots_used, worker.slots, `${worker.slots_used} of ${worker.slots} slots used`),
      el("span", { class: "note" }, `${worker.slots_used} / ${worker.slots}`)),
    el("td", { "data-label": "Memory" }, meter(worker.memory_bytes_used, worker.memory_bytes_max, `${memory} of memory used`),
      el("span", { class: "note" }, `${bytes(worker.memory_bytes_used)} / ${bytes(worker.memory_bytes_max)}`)),
    el("td", { "data-label": "Spilled", class: "figure" }, bytes(worker.spilled_bytes)),
    el("td", { "data-label": "Disk free", class: "figure" }, worker.disk_bytes_free ? bytes(worker.disk_bytes_free) : "–"),
    el("td", { "data-label": "Runs" }, worker.jobs.length
      ? worker.jobs.map((job, at) => [at ? ", " : "", el("a", { href: `/jobs/${job.id}` }, job.name || "(no name)"), job.attempts > 1 ? ` ×${job.attempts}` : ""])
      : el("span", { class: "quiet" }, "–")),
    el("td", { "data-label": "Lease", class: "figure" }, isGone ? "–" : `${Math.round(worker.lease_ms / 1000)} s`),
    el("td", { "data-label": "Version", class: "quiet" }, worker.version));
}

const workers = { from: 0, total: 0, rows: new Map(), order: [] };
function workersQuery() {
  const form = new FormData(the("workers-filter"));
  return { workers: true, workers_state: form.get("state"), workers_search: form.get("search"), workers_from: workers.from || undefined, workers_page_size: WORKERS_PAGE };
}

function onWorkers(event) {
  for (const worker of event.workers) workers.rows.set(worker.id, worker);
  workers.order = event.order;
  workers.total = event.total;
  for (const id of workers.rows.keys()) if (!event.order.includes(id)) workers.rows.delete(id);
  const rows = event.order.map((id) => workers.rows.get(id)).filter(Boolean);
  const body = the("workers").tBodies[0];
  const isAll = !new FormData(the("workers-filter")).get("search") && !new FormData(the("workers-filter")).get("state");
  if (rows.length) keyed(body, rows, (worker) => worker.id, workerRow);
  else put(body, nothing(9, isAll
    ? ["No workers yet. Start one: ", el("code", {}, `hearth worker --master ${cluster?.master ?? "hearth://HOST:7077"} --slots 4`)]
    : "No worker is like that."));
  say(the("workers-count"), workers.total ? count(workers.total) : "");
  the("workers-before").disabled = workers.from === 0;
  the("workers-next").disabled = workers.from + WORKERS_PAGE >= workers.total;
  const last = Math.min(workers.total, workers.from + WORKERS_PAGE);
  say(the("workers-page"), workers.total > WORKERS_PAGE ? `${workers.from + 1}–${last} of ${count(workers.total)}` : "");
}

const refreshFinished = calm(loadFinished, 500);
const refreshActive = calm(async () => {
  const page = await get(`/jobs?${query({ state: ACTIVE, page_size: ACTIVE_SHOWN })}`);
  active.clear();
  page.jobs.forEach((job) => active.set(job.id, { ...job, query: undefined }));
  later();
}, 500);
const refreshCharts = calm(async () => { hour.set(await get("/cluster/load")); drawCharts(); });

function onJobs(event) {
  let hasEnded = event.more;
  for (const job of event.jobs) {
    rates.note(job);
    if (job.finished_at) {
      active.delete(job.id);
      hasEnded = true;
    } else active.set(job.id, job);
  }
  if (event.more) refreshActive();
  if (hasEnded) refreshFinished();
  later();
}

const live = follow(
  () => query({ jobs: true, ...workersQuery() }),
  {
    cluster: (event) => { cluster = event; drawTiles(); },
    jobs: onJobs,
    workers: onWorkers,
    load: (event) => { hour.add(event); drawCharts(); },
  },
  () => { refreshActive(); refreshFinished(); refreshCharts(); },
);

function onInput(form, run) {
  let timer = null;
  the(form).addEventListener("input", () => { clearTimeout(timer); timer = setTimeout(run, 250); });
  the(form).addEventListener("submit", (event) => { event.preventDefault(); run(); });
}
onInput("finished-filter", () => { finished.tokens = [""]; loadFinished(); });
onInput("workers-filter", () => { workers.from = 0; live.again(); });
the("finished-next").addEventListener("click", () => { if (finished.next) { finished.tokens.push(finished.next); loadFinished(); } });
the("finished-before").addEventListener("click", () => { if (finished.tokens.length > 1) { finished.tokens.pop(); loadFinished(); } });
the("workers-next").addEventListener("click", () => { workers.from += WORKERS_PAGE; live.again(); });
the("workers-before").addEventListener("click", () => { workers.from = Math.max(0, workers.from - WORKERS_PAGE); live.again(); });
