//! The two requests that change something: cancel a job, drain a worker. Each is a POST that only a page of this master, or
//! somebody who means it, can send.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderName, StatusCode, header};

use super::{account_of, stopping, unknown_worker, worker_id};
use crate::http::HttpState;
use crate::http::answers::Problem;
use crate::http::json::{Detail, JobJson, TokenJson, WorkerJson};
use crate::input::Input;

/// The header that carries the token.
const TOKEN: HeaderName = HeaderName::from_static("x-hearth-token");
/// What a browser tells about where a request comes from.
const SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// The token, for pages of this master: those of others cannot read the answer.
pub(in crate::http) async fn get_token(State(state): State<HttpState>) -> Json<TokenJson> {
    Json(TokenJson { token: state.token.to_string() })
}

pub(in crate::http) async fn cancel_job(
    State(state): State<HttpState>,
    Path(job): Path<String>,
    headers: HeaderMap,
) -> Result<Json<JobJson>, Problem> {
    check_sender(&headers, &state.token)?;
    let id = account_of(&state, &job)?.status.id;
    tracing::info!(job = %id, "cancelled on the page");
    state.handle.ask(|reply| Input::Cancel { job: id, reply }).await.map_err(stopping)?;
    Ok(Json(JobJson::new(&account_of(&state, &job)?, Detail::Full)))
}

pub(in crate::http) async fn drain_worker(
    State(state): State<HttpState>,
    Path(worker): Path<String>,
    headers: HeaderMap,
) -> Result<Json<WorkerJson>, Problem> {
    check_sender(&headers, &state.token)?;
    let id = worker_id(&worker)?;
    tracing::info!(worker = %id, "drained on the page");
    if !state.handle.ask(|reply| Input::Drain { worker: id, reply }).await.map_err(stopping)? {
        return Err(unknown_worker(id));
    }
    let snapshot = state.handle.snapshot();
    let worker = snapshot.worker(id).ok_or_else(|| unknown_worker(id))?;
    Ok(Json(WorkerJson::new(worker, &snapshot)))
}

/// A browser says where a request comes from; other programs say nothing, but they have no user who could be fooled. Both
/// need the token.
fn check_sender(headers: &HeaderMap, token: &str) -> Result<(), Problem> {
    let forbidden = |detail: &str| Err(Problem::new(StatusCode::FORBIDDEN, detail));
    let text = |name: &HeaderName| headers.get(name).map(|value| value.to_str().unwrap_or("?"));
    if text(&SITE).is_some_and(|site| site != "same-origin") {
        return forbidden("the request comes from a page of another site");
    }
    let host = text(&header::HOST).unwrap_or_default();
    let is_ours = |origin: &str| origin.split_once("://").is_some_and(|(_, found)| found == host);
    if text(&header::ORIGIN).is_some_and(|origin| !is_ours(origin)) {
        return forbidden("the request comes from a page of another origin");
    }
    if text(&TOKEN) != Some(token) {
        return forbidden("the header x-hearth-token is missing or old; GET /api/v1/token tells it");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(headers: &[(&'static str, &'static str)], is_taken: bool) {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.insert(*name, value.parse().unwrap());
        }
        assert_eq!(check_sender(&map, "secret").is_ok(), is_taken, "{headers:?}");
    }

    #[test]
    fn only_pages_of_this_master_change_something() {
        let (token, host) = (("x-hearth-token", "secret"), ("host", "node1:8080"));
        let (own, page) = (("origin", "http://node1:8080"), ("sec-fetch-site", "same-origin"));
        check(&[token, host], true);
        check(&[token, host, own, page], true);
        check(&[host, own, page], false);
        check(&[("x-hearth-token", "other"), host, own, page], false);
        check(&[token, host, ("origin", "http://evil.example")], false);
        check(&[token, host, ("origin", "null")], false);
        check(&[token, host, ("origin", "http://node1:8081")], false);
        for site in ["cross-site", "same-site", "none"] {
            check(&[token, host, own, ("sec-fetch-site", site)], false);
        }
    }
}
