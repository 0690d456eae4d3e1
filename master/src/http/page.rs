//! The page at `/`: workers and the newest jobs, rendered here, without scripts. Everything that came from outside is escaped.

use std::fmt::{self, Display, Write as _};

use axum::extract::State;
use axum::http::header;
use axum::response::{Html, IntoResponse, Response};
use hearth_common::{ByteSize, ENGINE_VERSION, JobStatus, WorkerStatus};

use super::HttpState;
use super::json::time;
use crate::event_loop::wall_ms;
use crate::snapshot::{Page, Snapshot, Totals};

const STYLE: &str = include_str!("../../ui/style.css");
/// Jobs on the page.
const JOBS_SHOWN: usize = 50;

pub(super) async fn style() -> Response {
    ([(header::CONTENT_TYPE, "text/css; charset=utf-8")], STYLE).into_response()
}

pub(super) async fn overview(State(state): State<HttpState>) -> Html<String> {
    Html(render(&state.handle.snapshot(), &state.rpc.to_string()))
}

/// Text that came from outside, as HTML shows it literally.
struct Escaped<'a>(&'a str);

impl Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for c in self.0.chars() {
            match c {
                '&' => f.write_str("&amp;")?,
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '"' => f.write_str("&quot;")?,
                '\'' => f.write_str("&#39;")?,
                '\n' | '\t' => f.write_char(' ')?,
                // Control characters, and marks that turn the direction of what follows.
                c if c.is_control() || is_direction_mark(c) => write!(f, "&#xfffd;")?,
                c => f.write_char(c)?,
            }
        }
        Ok(())
    }
}

const fn is_direction_mark(c: char) -> bool {
    matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

fn render(snapshot: &Snapshot, address: &str) -> String {
    let (jobs, older) = snapshot.page(&Page { states: Vec::new(), size: JOBS_SHOWN, before: None });
    let totals = snapshot.totals();
    let workers = rows(&snapshot.workers, "No worker has joined yet.", 7, worker_row);
    let jobs = rows(&jobs, "No job has been submitted yet.", 7, |job| job_row(job));
    let more = if older.is_some() {
        "<p class=\"quiet\">Older jobs are in <a href=\"/api/v1/jobs\">/api/v1/jobs</a>.</p>"
    } else {
        ""
    };
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<title>Hearth</title>\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n<meta http-equiv=\"refresh\" content=\"3\">\n\
         <link rel=\"stylesheet\" href=\"/style.css\">\n</head>\n<body>\n\
         <header><h1>Hearth</h1><p>hearth://{address} · version {version} · {summary}</p></header>\n<main>\n\
         <h2>Workers</h2>\n<table>\n<thead><tr><th>Host</th><th>State</th><th>Slots</th><th>Memory</th><th>Disk free</th>\
         <th>Shuffle address</th><th>Id</th></tr></thead>\n<tbody>\n{workers}</tbody>\n</table>\n\
         <h2>Jobs</h2>\n<table>\n<thead><tr><th>Name</th><th>State</th><th>Progress</th><th>Rows read</th><th>Submitted</th>\
         <th>Took</th><th>Id</th></tr></thead>\n<tbody>\n{jobs}</tbody>\n</table>\n{more}\n</main>\n\
         <footer><a href=\"/metrics\">metrics</a> · <a href=\"/api/v1/jobs\">jobs as JSON</a> · \
         <a href=\"/api/v1/workers\">workers as JSON</a></footer>\n</body>\n</html>\n",
        address = Escaped(address),
        version = Escaped(ENGINE_VERSION),
        summary = summary(&totals),
    )
}

fn summary(totals: &Totals) -> String {
    format!("{} of {} slots used · {} tasks wait", totals.slots_used, totals.slots, totals.tasks_waiting)
}

fn rows<T>(items: &[T], nothing: &str, columns: u32, row: impl Fn(&T) -> String) -> String {
    if items.is_empty() {
        return format!("<tr><td colspan=\"{columns}\" class=\"quiet\">{nothing}</td></tr>\n");
    }
    items.iter().map(row).collect()
}

fn worker_row(worker: &WorkerStatus) -> String {
    let WorkerStatus { id, host, shuffle_address, state, slots, slots_used, .. } = worker;
    let note = worker.excluded.as_ref().map(|text| format!("<div class=\"note\">{}</div>", Escaped(text)));
    format!(
        "<tr><td>{host}{note}</td><td class=\"state {state}\">{state}</td><td>{slots_used} / {slots}</td>\
         <td>{used} / {max}</td><td>{free}</td><td>{address}</td><td class=\"id\">{id}</td></tr>\n",
        host = Escaped(host),
        note = note.unwrap_or_default(),
        state = state.name(),
        used = ByteSize(worker.memory_bytes_used),
        max = ByteSize(worker.memory_bytes_max),
        free = ByteSize(worker.disk_bytes_free),
        address = Escaped(shuffle_address),
    )
}

fn job_row(job: &JobStatus) -> String {
    let mut note = String::new();
    if let Some(waiting_for) = &job.waiting_for {
        let _ = write!(note, "<div class=\"note\">waits for {}</div>", Escaped(waiting_for));
    }
    if let Some(failure) = &job.failure {
        let _ = write!(note, "<div class=\"note\">{}</div>", Escaped(&failure.to_string()));
    }
    format!(
        "<tr><td>{name}{note}</td><td class=\"state {state}\">{state}</td><td>{progress}</td><td>{rows}</td>\
         <td>{submitted}</td><td>{took}</td><td class=\"id\"><a href=\"/api/v1/jobs/{id}\">{id}</a></td></tr>\n",
        name = Escaped(&job.name),
        state = job.state.name(),
        progress = progress(job),
        rows = job.metrics.input_rows,
        submitted = time(job.submitted_ms),
        took = took(job),
        id = job.id,
    )
}

fn progress(job: &JobStatus) -> String {
    let done: u64 = job.stages.iter().map(|stage| u64::from(stage.tasks_done)).sum();
    let known: u64 = job.stages.iter().map(|stage| u64::from(stage.tasks)).sum();
    if known == 0 { "–".to_owned() } else { format!("{done} / {known} tasks") }
}

fn took(job: &JobStatus) -> String {
    let Some(started) = job.started_ms else { return "–".to_owned() };
    let ms = job.finished_ms.unwrap_or_else(wall_ms).saturating_sub(started);
    format!("{}.{:01} s", ms / 1000, ms % 1000 / 100)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use hearth_common::{FailureCause, JobState};

    use super::*;
    use crate::snapshot::tests::{job, snapshot};

    #[test]
    fn names_cannot_become_markup() {
        let hostile = [
            "<script>alert(1)</script>",
            "\"><img src=x onerror=alert(1)>",
            "' onmouseover='alert(1)",
            "</td></tr></table><h1>x",
            "&lt;b&gt;",
            "a\r\nb\x1b[31m",
            "\u{202e}gpj.exe",
            "<!--",
        ];
        for text in hostile {
            let mut bad = (*job(1, JobState::Running)).clone();
            bad.name = text.to_owned();
            bad.waiting_for = Some(text.to_owned());
            bad.failure = Some(FailureCause::task(text));
            let mut page = snapshot(&[]);
            page.active.insert(bad.id, Arc::new(bad));
            let html = render(&page, text);
            let plain = render(&snapshot(&[(1, JobState::Running)]), "127.0.0.1:7077");
            let tags = |html: &str| html.matches('<').count();
            assert_eq!(tags(&html), tags(&plain) + 4, "two notes and no more: {html}");
            assert!(!html.contains(text) || text.chars().all(char::is_alphanumeric), "{html}");
            assert!(!html.contains(['\x1b', '\r', '\u{202e}']), "{html}");
        }
    }

    #[test]
    fn says_when_there_is_nothing() {
        let html = render(&snapshot(&[]), "127.0.0.1:7077");
        assert!(
            html.contains("No worker has joined yet.") && html.contains("No job has been submitted yet."),
            "{html}"
        );
    }
}
