//! Plain GET requests to the master's web address.

use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::Value;

/// What a web server answered.
#[derive(Debug, Clone)]
pub struct HttpAnswer {
    /// Status code.
    pub status: u16,
    /// `Content-Type`, empty without one.
    pub content_type: String,
    /// The body as text.
    pub body: String,
}

impl HttpAnswer {
    /// The body as JSON.
    ///
    /// # Errors
    /// It is not JSON.
    pub fn json(&self) -> Result<Value> {
        serde_json::from_str(&self.body).with_context(|| format!("read JSON from `{}`", self.body))
    }
}

/// Asks for `http://ADDRESS/PATH`. An error status is an answer too.
///
/// # Errors
/// Nobody listens, or the answer takes more than ten seconds.
pub fn http_get(address: &str, path: &str) -> Result<HttpAnswer> {
    let agent = ureq::Agent::config_builder()
        .http_status_as_error(false)
        .timeout_global(Some(Duration::from_secs(10)))
        .build()
        .new_agent();
    let url = format!("http://{address}{path}");
    let mut answer = agent.get(&url).call().with_context(|| format!("get {url}"))?;
    let content_type = answer.headers().get("content-type").and_then(|value| value.to_str().ok()).unwrap_or_default();
    let content_type = content_type.to_owned();
    let body = answer.body_mut().read_to_string().with_context(|| format!("read {url}"))?;
    Ok(HttpAnswer { status: answer.status().as_u16(), content_type, body })
}
