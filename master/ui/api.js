// Asking the master. Errors are those that it tells.

async function answer(response) {
  const body = await response.json().catch(() => null);
  if (!response.ok) throw Object.assign(new Error(body?.detail ?? `the master answered ${response.status}`), { status: response.status });
  return body;
}

export async function get(path) {
  return answer(await fetch(`/api/v1${path}`, { headers: { accept: "application/json" } }));
}

/** Changes something. The token tells the master that one of its own pages asks; it is new with every start of it. */
export async function post(path) {
  const { token } = await get("/token");
  return answer(await fetch(`/api/v1${path}`, { method: "POST", headers: { "x-hearth-token": token } }));
}

/** The id at the end of the page's own address. */
export const ownId = () => encodeURIComponent(decodeURIComponent(location.pathname.split("/").filter(Boolean)[1] ?? ""));

/** A query string of what is set. */
export function query(values) {
  const set = Object.entries(values).filter(([, value]) => value !== undefined && value !== null && value !== "" && value !== false);
  return new URLSearchParams(set.map(([name, value]) => [name, String(value)])).toString();
}

/** Runs an asking function, again when it was asked for meanwhile, and never more often than every `every` ms. */
export function calm(ask, every = 1000) {
  let running = false;
  let wanted = false;
  const run = async () => {
    running = true;
    wanted = false;
    try { await ask(); } catch { /* the next event, or the connection, tells more */ }
    setTimeout(() => { running = false; if (wanted) run(); }, every);
  };
  return () => { if (running) wanted = true; else run(); };
}
