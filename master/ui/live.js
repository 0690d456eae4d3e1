// Hearing what changes, and telling people when the page does not.
import { the, say } from "/ui/dom.js";

const SILENCE_MAX = 12000;
const AGAIN = [500, 1000, 2000, 3000];

/** Follows events. `start` is called on every connection, with whether it is a new one after an old one broke. */
export function follow(queryOf, handlers, start) {
  let source = null;
  let heard = 0;
  let failures = 0;
  let connections = 0;
  let timer = null;

  function show(isLive) {
    const lamp = the("live");
    lamp.classList.toggle("off", !isLive);
    say(lamp, isLive ? "live" : "not live");
    const banner = the("banner");
    banner.hidden = isLive;
    say(banner, isLive ? "" : "The master does not answer. What you see may be old; trying again …");
  }

  function connect() {
    clearTimeout(timer);
    source?.close();
    source = new EventSource(`/api/v1/events?${queryOf()}`);
    const own = source;
    heard = Date.now();
    const isAgain = connections > 0;
    let isOpen = false;
    const alive = () => { heard = Date.now(); };
    source.onopen = () => {
      alive();
      failures = 0;
      connections += 1;
      isOpen = true;
      show(true);
      start?.(isAgain);
    };
    source.onerror = () => { if (own === source) broke(); };
    source.addEventListener("tick", alive);
    for (const [name, handler] of Object.entries(handlers)) {
      source.addEventListener(name, (event) => { alive(); if (isOpen || own === source) handler(JSON.parse(event.data)); });
    }
  }

  function broke() {
    source?.close();
    source = null;
    show(false);
    clearTimeout(timer);
    timer = setTimeout(() => { if (!document.hidden) connect(); }, AGAIN[Math.min(failures, AGAIN.length - 1)]);
    failures += 1;
  }

  setInterval(() => { if (source && Date.now() - heard > SILENCE_MAX) broke(); }, 1000);
  // A browser opens six connections to a host: tabs that nobody sees give theirs up, or a seventh one would stay empty.
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) {
      clearTimeout(timer);
      source?.close();
      source = null;
    } else if (!source) connect();
  });
  addEventListener("pageshow", (event) => { if (event.persisted) connect(); });
  addEventListener("pagehide", () => source?.close());
  if (!document.hidden) connect();
  return { again: connect };
}
