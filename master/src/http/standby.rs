//! What the web address of a standby shows: that it is one, and where the active master is.

use std::io;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::answers::Problem;
use super::{assets, secure};
use crate::rpc::standby_text;
use crate::tenure::{Record, Tenure};

/// Loaded again by itself, so that it is the cluster's page once this master is active.
const PAGE: &str = include_str!("../../ui/standby.html");

type Active = watch::Receiver<Option<Record>>;

/// Serves a standby until it is told to stop.
pub(crate) async fn serve_standby(listener: TcpListener, active: Active, stop: CancellationToken) -> io::Result<()> {
    axum::serve(listener, routes(active)).with_graceful_shutdown(stop.cancelled_owned()).await
}

fn routes(active: Active) -> Router {
    Router::new()
        .route("/", get(page))
        .route("/ui/{file}", get(assets::file))
        .route("/healthz", get(async || "ok\n"))
        .route("/metrics", get(metrics))
        // Also what tells whether it takes jobs.
        .fallback(refuse)
        .layer(middleware::from_fn(secure))
        .with_state(active)
}

async fn refuse(State(active): State<Active>) -> Problem {
    let active = active.borrow();
    let pages = active.as_ref().map(|active| format!(", with its pages at http://{}", active.reached.http));
    let text = standby_text(active.as_ref());
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, format!("{text}{}", pages.unwrap_or_default()))
}

/// A watched process that is well: what it would count begins when it is active.
async fn metrics() -> Response {
    const TEXT: &str = "# HELP hearth_standby This master waits while another one is active.\n# TYPE hearth_standby gauge\n\
                        hearth_standby 1\n# EOF\n";
    ([(header::CONTENT_TYPE, hearth_metrics::CONTENT_TYPE)], TEXT).into_response()
}

async fn page(State(active): State<Active>) -> Html<String> {
    let active = active.borrow();
    let text = match active.as_ref() {
        Some(Record { epoch, reached, host, .. }) => {
            let (pages, rpc, host) = (escaped(&reached.http), escaped(&reached.rpc), escaped(host));
            format!(
                "The active master is <a href=\"http://{pages}/\">{pages}</a>, on {host}, epoch {}. Clients and workers reach it at \
                 hearth://{rpc}. This one takes over when it dies.",
                epoch.number
            )
        }
        None => "It is not known yet which master is active. This one takes over when none is.".to_owned(),
    };
    Html(PAGE.replace("{text}", &text))
}

/// What others wrote into the state directory is text.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            c => escaped.push(c),
        }
    }
    escaped
}

/// Lets a request through while this master is the active one.
pub(super) async fn answer_as_active(State(tenure): State<Tenure>, request: Request, next: Next) -> Response {
    match tenure.confirm().await {
        Ok(()) => next.run(request).await,
        Err(error) => Problem::new(StatusCode::SERVICE_UNAVAILABLE, error).into_response(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_of_others_is_no_markup() {
        assert_eq!(escaped("node1:8080"), "node1:8080");
        assert_eq!(escaped("\"><b>&"), "&quot;&gt;&lt;b&gt;&amp;");
    }
}
