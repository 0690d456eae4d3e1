//! Requests, answers and events of the `DevTools` protocol: JSON texts that end with a zero byte, on two pipes.

use std::io::{BufRead, BufReader, Write as _};
use std::process::{Child, ChildStdin};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use serde_json::{Value, json};

/// Longest wait for an answer.
const ANSWER_MAX: Duration = Duration::from_secs(60);
/// Messages that wait to be read.
const MESSAGES_AHEAD: usize = 65_536;
/// Events that are kept until somebody takes them; older ones are dropped.
const EVENTS_MAX: usize = 10_000;

/// The way to a browser.
#[derive(Debug)]
pub(crate) struct Pipe {
    requests: ChildStdin,
    messages: Receiver<Value>,
    events: Vec<Value>,
    last_id: u64,
}

impl Pipe {
    pub(crate) fn new(process: &mut Child) -> Result<Self> {
        let requests = process.stdin.take().context("write to the browser")?;
        let answers = process.stdout.take().context("read from the browser")?;
        let (sender, messages) = sync_channel(MESSAGES_AHEAD);
        std::thread::spawn(move || {
            let mut answers = BufReader::new(answers);
            let mut text = Vec::new();
            while answers.read_until(0, &mut text).is_ok_and(|read| read > 0) {
                text.pop();
                let Ok(message) = serde_json::from_slice(&text) else { break };
                if sender.send(message).is_err() {
                    break;
                }
                text.clear();
            }
        });
        Ok(Self { requests, messages, events: Vec::new(), last_id: 0 })
    }

    /// Sends a request and waits for its answer.
    pub(crate) fn call(&mut self, session: Option<&str>, method: &str, parameters: &Value) -> Result<Value> {
        self.last_id += 1;
        let id = self.last_id;
        let mut request = json!({ "id": id, "method": method, "params": parameters });
        if let Some(session) = session {
            request["sessionId"] = session.into();
        }
        let mut text = serde_json::to_vec(&request)?;
        text.push(0);
        self.requests.write_all(&text).and_then(|()| self.requests.flush()).context("write to the browser")?;
        let deadline = Instant::now() + ANSWER_MAX;
        loop {
            let message = match self.messages.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(message) => message,
                Err(RecvTimeoutError::Timeout) => bail!("the browser did not answer {method} in time"),
                Err(RecvTimeoutError::Disconnected) => bail!("the browser ended while it was asked for {method}"),
            };
            if message["id"] == id {
                if let Some(error) = message.get("error") {
                    bail!("{method}: {error}");
                }
                return Ok(message["result"].clone());
            }
            // A dialog keeps the answer back until somebody closes it.
            let is_dialog = message["method"] == "Page.javascriptDialogOpening";
            self.keep(message);
            if is_dialog && method != "Page.handleJavaScriptDialog" {
                return Ok(Value::Null);
            }
        }
    }

    fn keep(&mut self, event: Value) {
        if event.get("method").is_some() && self.events.len() < EVENTS_MAX {
            self.events.push(event);
        }
    }

    /// The events since the last call.
    pub(crate) fn take_events(&mut self) -> Vec<Value> {
        std::mem::take(&mut self.events)
    }
}
