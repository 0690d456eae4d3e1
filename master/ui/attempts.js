// A table of attempts, paged on the server.
import { el, the, put, say, keyed, state, nothing } from "/ui/dom.js";
import { brief, bytes, count, duration, plural, time } from "/ui/format.js";

const PAGE = 25;

function row(attempt, withJob) {
  const { metrics } = attempt;
  const read = metrics.input_bytes + metrics.shuffle_local_bytes + metrics.shuffle_remote_bytes;
  const task = `${attempt.stage} / ${attempt.partition}`;
  return el("tr", {},
    el("td", { class: "main" },
      withJob ? el("a", { href: `/jobs/${attempt.job}` }, attempt.job_name || "(no name)") : null,
      withJob ? el("span", { class: "note" }, `stage ${attempt.stage}, task ${attempt.partition}`) : task,
      attempt.attempt ? el("span", { class: "note" }, `attempt ${attempt.attempt}`) : null,
      attempt.is_second ? el("span", { class: "note warn" }, "second attempt") : null,
      attempt.failure ? el("span", { class: "note bad" }, attempt.failure.message) : null),
    el("td", { "data-label": "Outcome" }, state(attempt.outcome)),
    withJob ? null : el("td", { "data-label": "Worker" }, el("a", { href: `/workers/${attempt.worker}` }, attempt.host ?? attempt.worker.slice(0, 8)), el("span", { class: "note" }, `… ${attempt.worker.slice(-6)}`)),
    el("td", { "data-label": "Launched", class: "figure" }, time(attempt.launched_at)),
    el("td", { "data-label": "Took", class: "figure" }, duration(attempt.duration_ms)),
    el("td", { "data-label": "Rows read", class: "figure" }, brief(metrics.input_rows + metrics.shuffle_read_rows)),
    el("td", { "data-label": "Read", class: "figure" }, bytes(read)),
    el("td", { "data-label": "Rows out", class: "figure" }, brief(metrics.output_rows)),
    el("td", { "data-label": "Spilled", class: "figure" }, metrics.spilled_bytes ? bytes(metrics.spilled_bytes) : "–"));
}

/** Keeps the table `#attempts` with the form `#attempts-filter`; `ask` gets the query and answers with a page. */
export function attemptsTable(ask, withJob) {
  let from = 0;
  const form = the("attempts-filter");
  const load = async () => {
    const values = form ? Object.fromEntries(new FormData(form)) : {};
    const page = await ask({ ...values, from: from || undefined, page_size: PAGE });
    if (page.total && from >= page.total) {
      from = 0;
      return load();
    }
    const body = the("attempts").tBodies[0];
    const keyOf = (attempt) => `${attempt.job}/${attempt.stage}/${attempt.partition}.${attempt.attempt}`;
    if (page.attempts.length) keyed(body, page.attempts, keyOf, (attempt) => row(attempt, withJob));
    else put(body, nothing(9, "No attempts."));
    const last = from + page.attempts.length;
    the("attempts-before").disabled = from === 0;
    the("attempts-next").disabled = page.next === null;
    say(the("attempts-page"), page.total > PAGE ? `${from + 1}–${last} of ${count(page.total)}` : "");
    say(the("attempts-count"), count(page.total));
    const note = the("attempts-left-out");
    if (note) say(note, page.left_out ? `${plural(page.left_out, "further attempt")} of this job ${page.left_out === 1 ? "is" : "are"} not listed, nor in what is compared here: of an ended job some are kept, and a master that was started meanwhile knows those that ran since.` : "");
    return undefined;
  };
  the("attempts-next").addEventListener("click", () => { from += PAGE; load(); });
  the("attempts-before").addEventListener("click", () => { from = Math.max(0, from - PAGE); load(); });
  form?.addEventListener("input", () => { from = 0; load(); });
  form?.addEventListener("submit", (event) => event.preventDefault());
  return load;
}
