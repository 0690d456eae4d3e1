// Figures, sizes, durations and times as people read them.

const UNITS = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
const whole = new Intl.NumberFormat("en");
const short = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 });

/** 1,234,567 */
export const count = (value) => whole.format(value ?? 0);

/** 1.2M */
export const brief = (value) => (value < 10000 ? whole.format(value ?? 0) : short.format(value));

/** 1.5 GiB */
export function bytes(value) {
  let size = value ?? 0;
  let unit = 0;
  while (size >= 1024 && unit < UNITS.length - 1) {
    size /= 1024;
    unit += 1;
  }
  const digits = unit === 0 || size >= 100 ? 0 : 1;
  return `${size.toFixed(digits)} ${UNITS[unit]}`;
}

/** 350 ms, 12.3 s, 4 min 5 s, 2 h 10 min, 3 d 4 h */
export function duration(ms) {
  if (ms === null || ms === undefined) return "–";
  if (ms < 1000) return `${Math.round(ms)} ms`;
  const seconds = ms / 1000;
  if (seconds < 60) return `${seconds.toFixed(1)} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes} min ${Math.floor(seconds % 60)} s`;
  const hours = Math.floor(minutes / 60);
  if (hours < 48) return `${hours} h ${minutes % 60} min`;
  return `${Math.floor(hours / 24)} d ${hours % 24} h`;
}

/** The time of today, with the date of other days. */
export function time(text) {
  if (!text) return "–";
  const at = new Date(text);
  const clock = at.toLocaleTimeString("en-GB");
  return at.toDateString() === new Date().toDateString() ? clock : `${at.toLocaleDateString("sv")} ${clock}`;
}

export const percent = (part, all) => (all > 0 ? `${Math.floor((part / all) * 100)} %` : "–");

export const plural = (value, one, many = `${one}s`) => `${count(value)} ${value === 1 ? one : many}`;
