// Lines of logs as text, and a log that is read page by page.
import { el, put } from "/ui/dom.js";

/** A line as text; with the beginning of its job's id where lines of several jobs stand together. */
export function told({ at, level, job, stage, partition, attempt, message, fields }, namesJob) {
  const subject = stage === null ? "" : `${[stage, partition, attempt].filter((part) => part !== null).join(".")} `;
  return `${at} ${level} ${namesJob ? `${job} ` : ""}${subject}${message}${fields.map(({ name, value }) => ` ${name}=${value}`).join("")}\n`;
}

/** Puts a line behind those that are not later: workers tell theirs a little after the master. */
function place(node, line) {
  const shown = el("span", {}, told(line, false));
  shown.at = line.at;
  let before = node.lastChild;
  while (before && before.at > line.at) before = before.previousSibling;
  node.insertBefore(shown, before ? before.nextSibling : node.firstChild);
}

/** Shows a log in a node as it grows: what is shown stays, and `ask(cursor)` gives what follows. At most so many pages at once. What is
    given reads on, and says whether more may come by itself. */
export function growing(node, more, ask, pagesMax = 5) {
  let cursor = 0;
  let isBusy = false;
  const read = async (pages) => {
    if (isBusy) return true;
    isBusy = true;
    let page = { more: true };
    try {
      for (let left = pages; left > 0 && page.more; left -= 1) {
        page = await ask(cursor);
        cursor = page.next_cursor;
        page.lines.forEach((line) => place(node, line));
      }
      put(more, page.more ? el("button", { type: "button", onclick: () => read(pagesMax) }, "Show more") : null);
    } finally {
      isBusy = false;
    }
    return !page.more && !page.complete;
  };
  return () => read(pagesMax);
}
