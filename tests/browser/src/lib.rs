//! Drives a real browser without a window, for tests of the pages: Chromium, over the pipe of its `DevTools` protocol.
//!
//! A browser ends with the process that started it: it reads from a pipe that only this process holds open.

mod install;
mod picture;
mod pipe;

use std::process::Child;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::{Value, json};

pub use picture::{Format, Theme};
use pipe::Pipe;

/// Time between two looks at a page.
const POLL_INTERVAL: Duration = Duration::from_millis(20);

/// A running browser. Dropped, it is ended.
#[derive(Debug)]
pub struct Browser {
    process: Child,
    pipe: Pipe,
    /// Its profile.
    _directory: tempfile::TempDir,
}

/// A page that is open in it.
#[derive(Debug)]
pub struct Page<'a> {
    browser: &'a mut Browser,
    session: String,
    problems: Vec<String>,
}

impl Browser {
    /// Starts a browser, and installs it where it is missing and this may be done.
    ///
    /// # Errors
    /// There is none: the message has the command that installs it.
    pub fn start() -> Result<Self> {
        Self::start_on(&[])
    }

    /// Starts a browser on another host, such as a network namespace: by a command that is written after these words.
    ///
    /// # Errors
    /// There is none: the message has the command that installs it.
    pub fn start_on(entrance: &[String]) -> Result<Self> {
        let directory = tempfile::Builder::new().prefix("hearth-browser-").tempdir()?;
        let mut process = install::command(directory.path(), entrance)?.spawn().context("start the browser")?;
        let pipe = Pipe::new(&mut process)?;
        Ok(Self { process, pipe, _directory: directory })
    }

    /// Opens a page in a tab of its own, as wide as that.
    ///
    /// # Errors
    /// The browser does not answer, or the page cannot be loaded.
    pub fn open(&mut self, url: &str, width: u32) -> Result<Page<'_>> {
        let target = self.pipe.call(None, "Target.createTarget", &json!({ "url": "about:blank" }))?;
        let attach = json!({ "targetId": target["targetId"], "flatten": true });
        let attached = self.pipe.call(None, "Target.attachToTarget", &attach)?;
        let session = attached["sessionId"].as_str().context("attach to a tab")?.to_owned();
        let mut page = Page { browser: self, session, problems: Vec::new() };
        for domain in ["Page", "Runtime", "Log"] {
            page.call(&format!("{domain}.enable"), &json!({}))?;
        }
        let size = json!({ "width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 500 });
        page.call("Emulation.setDeviceMetricsOverride", &size)?;
        page.go_to(url)?;
        Ok(page)
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Page<'_> {
    /// Loads another address in this tab.
    ///
    /// # Errors
    /// It cannot be loaded.
    pub fn go_to(&mut self, url: &str) -> Result<()> {
        let answer = self.call("Page.navigate", &json!({ "url": url }))?;
        ensure!(answer.get("errorText").is_none(), "load {url}: {}", answer["errorText"]);
        self.wait_for("document.readyState === 'complete'", 30)
    }

    /// The value of an expression; promises are waited for.
    ///
    /// # Errors
    /// It throws.
    pub fn value_of(&mut self, expression: &str) -> Result<Value> {
        let request = json!({ "expression": expression, "returnByValue": true, "awaitPromise": true });
        let answer = self.call("Runtime.evaluate", &request)?;
        if let Some(thrown) = answer.get("exceptionDetails") {
            bail!("`{expression}` threw {thrown}");
        }
        Ok(answer["result"]["value"].clone())
    }

    /// The value of an expression as text.
    ///
    /// # Errors
    /// It throws, or has no text.
    pub fn text_of(&mut self, expression: &str) -> Result<String> {
        let value = self.value_of(expression)?;
        value.as_str().map(str::to_owned).with_context(|| format!("read text from `{expression}`, which is {value}"))
    }

    /// Waits until an expression is true.
    ///
    /// # Errors
    /// It does not become true in time; the message has what the page shows.
    pub fn wait_for(&mut self, condition: &str, seconds: u64) -> Result<()> {
        let deadline = Instant::now() + Duration::from_secs(seconds);
        loop {
            // While a page is being loaded, what it needs may not be there yet.
            if self.value_of(condition).is_ok_and(|value| value == true) {
                return Ok(());
            }
            if Instant::now() >= deadline {
                let shown = self.value_of("document.body.innerText").unwrap_or_default();
                let problems = self.problems()?;
                bail!("waited {seconds} s for `{condition}`; problems {problems:?}; the page shows {shown}");
            }
            std::thread::sleep(POLL_INTERVAL);
        }
    }

    /// Clicks the middle of the first element that fits, with the mouse.
    ///
    /// # Errors
    /// There is none that can be seen, or another one covers it.
    pub fn click(&mut self, selector: &str) -> Result<()> {
        let found = self.value_of(&format!(
            "(() => {{ const node = document.querySelector({selector:?}); if (!node) return null; \
             node.scrollIntoView({{ block: 'center' }}); const at = node.getBoundingClientRect(); \
             const [x, y] = [at.x + at.width / 2, at.y + at.height / 2]; \
             const hit = document.elementFromPoint(x, y); \
             return {{ x, y, hit: Boolean(hit) && (node.contains(hit) || hit.contains(node)) }}; }})()"
        ))?;
        ensure!(found["hit"] == true, "find `{selector}` where the mouse can click it: {found}");
        for kind in ["mousePressed", "mouseReleased"] {
            let event = json!({ "type": kind, "x": found["x"], "y": found["y"], "button": "left", "clickCount": 1 });
            self.call("Input.dispatchMouseEvent", &event)?;
        }
        Ok(())
    }

    /// Presses a key, such as `Tab` or `Enter`.
    ///
    /// # Errors
    /// The browser does not answer.
    pub fn press(&mut self, key: &str) -> Result<()> {
        let code = if key == "Tab" { 9 } else { 13 };
        let text = if key == "Enter" { "\r" } else { "" };
        let down = json!({ "type": "keyDown", "key": key, "code": key, "windowsVirtualKeyCode": code, "text": text });
        self.call("Input.dispatchKeyEvent", &down)?;
        let up = json!({ "type": "keyUp", "key": key, "code": key, "windowsVirtualKeyCode": code });
        self.call("Input.dispatchKeyEvent", &up)?;
        Ok(())
    }

    /// What went wrong on the page so far: exceptions, refusals of the content security policy, dialogs. That the network did
    /// not give something is not one.
    ///
    /// # Errors
    /// The browser does not answer.
    pub fn problems(&mut self) -> Result<Vec<String>> {
        self.call("Runtime.evaluate", &json!({ "expression": "0" }))?;
        Ok(self.problems.clone())
    }

    fn call(&mut self, method: &str, parameters: &Value) -> Result<Value> {
        let answer = self.browser.pipe.call(Some(&self.session), method, parameters)?;
        for event in self.browser.pipe.take_events() {
            self.problems.extend(problem_in(&event));
            if event["method"] == "Page.javascriptDialogOpening" {
                self.browser.pipe.call(
                    Some(&self.session),
                    "Page.handleJavaScriptDialog",
                    &json!({ "accept": true }),
                )?;
            }
        }
        Ok(answer)
    }
}

fn problem_in(event: &Value) -> Option<String> {
    let parameters = &event["params"];
    match event["method"].as_str()? {
        "Page.javascriptDialogOpening" => Some(format!("a dialog opened: {}", parameters["message"])),
        "Runtime.exceptionThrown" => Some(format!("thrown: {}", parameters["exceptionDetails"])),
        "Log.entryAdded" => {
            let entry = &parameters["entry"];
            let counts = entry["level"] == "error" && entry["source"] != "network";
            counts.then(|| format!("{}: {}", entry["source"], entry["text"]))
        }
        _ => None,
    }
}
