// Buttons that change something: the first click asks, the second one does it.
import { post } from "/ui/api.js";
import { say, the } from "/ui/dom.js";

/** Makes `button` post to `path` when it is clicked twice within five seconds. What came of it is said in `said`. */
export function confirmed(button, { sure, path, done, failed }) {
  const usual = button.textContent;
  button.addEventListener("click", async () => {
    if (!button.classList.contains("sure")) {
      button.classList.add("sure");
      say(button, sure);
      setTimeout(() => { button.classList.remove("sure"); say(button, usual); }, 5000);
      return;
    }
    button.disabled = true;
    try {
      await post(path);
      say(the("said"), done);
    } catch (error) {
      say(the("said"), `${failed}: ${error.message}`);
    }
    button.disabled = false;
  });
}
