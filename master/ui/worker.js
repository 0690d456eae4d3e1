// The page of a worker: what it has, what it runs, what it ran, and the button to let it leave.
import { clean, el, the, put, say, state, meter, tile } from "/ui/dom.js";
import { get, ownId, query, calm } from "/ui/api.js";
import { confirmed } from "/ui/confirm.js";
import { follow } from "/ui/live.js";
import { attemptsTable } from "/ui/attempts.js";
import { chart, Hour } from "/ui/charts.js";
import { told } from "/ui/log.js";
import { bytes, count, duration, percent, time } from "/ui/format.js";

const id = ownId();
const hour = new Hour();
let worker = null;

function draw() {
  document.title = clean(`${worker.host} – Hearth`);
  say(the("host"), worker.host);
  say(the("id"), `${worker.id} · ${worker.shuffle_address} · version ${worker.version} · joined ${time(worker.registered_at)}`);
  put(the("state"), state(worker.state), worker.excluded ? el("span", { class: "note warn" }, ` ${worker.excluded}`) : null);
  const isGone = worker.state === "lost" || worker.state === "left";
  the("drain").hidden = isGone || worker.state === "draining";
  const { slots, slots_used: used, memory_bytes_used: memory, memory_bytes_max: most } = worker;
  put(the("tiles"),
    tile("Slots", [count(used), el("span", { class: "of" }, ` of ${count(slots)}`)], worker.jobs.length ? worker.jobs.map((job, at) => [at ? ", " : "", el("a", { href: `/jobs/${job.id}` }, job.name || "(no name)")]) : "idle", "",
      meter(used, slots, `${used} of ${slots} slots used`)),
    tile("Memory", bytes(memory), `of ${bytes(most)}`, "", meter(memory, most, `${percent(memory, most)} of memory used`)),
    tile("Spilled", bytes(worker.spilled_bytes), "since the master started"),
    tile("Disk free", worker.disk_bytes_free ? bytes(worker.disk_bytes_free) : "–", "in its work directory"),
    tile("Lease", isGone ? "–" : duration(worker.lease_ms).replace(".0 s", " s"), isGone ? "it is gone" : "until it counts as lost, if it stays silent"));
}

function drawCharts() {
  chart(the("chart-slots"), { title: "Slots used", hour, values: hour.values("slots_used"), limit: hour.values("slots"), show: count });
  chart(the("chart-throughput"), { title: "Read", hour, values: hour.rates("read_bytes"), show: bytes, unit: "/s" });
  chart(the("chart-memory"), { title: "Memory", hour, values: hour.values("memory_bytes_used"), limit: worker?.memory_bytes_max, show: bytes });
}

const refreshAttempts = calm(attemptsTable((asked) => get(`/workers/${id}/attempts?${query(asked)}`), true));

/** The last lines that it told, newest first. */
const refreshLog = calm(async () => {
  const { lines } = await get(`/workers/${id}/logs?page_size=100`);
  the("log-section").hidden = !lines.length;
  say(the("log"), lines.reverse().map((line) => told(line, true)).join(""));
}, 3000);

async function refresh() {
  try {
    worker = await get(`/workers/${id}`);
    hour.set(await get(`/workers/${id}/load`));
  } catch (error) {
    if (!worker) say(the("host"), "No such worker");
    say(the("said"), `${error.message}. A worker that comes back has a new id: see the cluster page.`);
    return;
  }
  say(the("said"), "");
  the("as-json").href = `/api/v1/workers/${id}`;
  draw();
  drawCharts();
  refreshAttempts();
  refreshLog();
}

follow(
  () => query({ worker: decodeURIComponent(id) }),
  {
    worker: (event) => {
      worker = event;
      draw();
      refreshAttempts();
      refreshLog();
    },
    load: (event) => { hour.add(event); drawCharts(); refreshAttempts(); refreshLog(); },
  },
  refresh,
);

confirmed(the("drain"), {
  sure: "Drain it: sure?",
  path: `/workers/${id}/drain`,
  done: "It takes no more attempts, and leaves when nobody needs what it holds.",
  failed: "It does not drain",
});
