//! Where traces are sent, and one sending of them: OTLP over HTTP with protobuf.

use axum::http::uri::Scheme;
use axum::http::{StatusCode, Uri, header};
use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::Request;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use prost::Message;
use tokio::net::TcpStream;

use super::otlp::{ExportRequest, ExportResponse};

/// Path of the trace service below an endpoint.
const PATH: &str = "/v1/traces";
/// Port of OTLP over HTTP.
const PORT: u16 = 4318;
/// Largest answer that is read, in bytes.
const ANSWER_BYTES_MAX: usize = 64 << 10;

/// Where a collector takes traces.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Endpoint {
    host: String,
    port: u16,
    path: String,
}

/// What a collector made of a request.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// It took all spans.
    Taken,
    /// It does not want some or all of them.
    Refused(String),
    /// It may take them later.
    Later(String),
}

impl Endpoint {
    /// Reads an endpoint as OpenTelemetry has it: the trace service is at `/v1/traces` below it.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let wrong = |problem: &str| format!("`{text}` {problem}, such as http://127.0.0.1:{PORT}");
        let uri: Uri = text.trim().parse().map_err(|_| wrong("must be a URL"))?;
        match uri.scheme() {
            Some(scheme) if *scheme == Scheme::HTTP => {}
            Some(scheme) if *scheme == Scheme::HTTPS => {
                return Err(wrong(
                    "begins with https://, which the master does not speak: name a collector on this host or in a trusted network \
                     that takes plain HTTP and sends on encrypted",
                ));
            }
            Some(_) | None => return Err(wrong("must begin with http://")),
        }
        let host = uri.host().filter(|host| !host.is_empty()).ok_or_else(|| wrong("must name a host"))?;
        let base = uri.path().trim_end_matches('/');
        let path = if base.ends_with(PATH) { base.to_owned() } else { format!("{base}{PATH}") };
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        Ok(Self { host, port: uri.port_u16().unwrap_or(PORT), path })
    }

    /// Sends once, over a connection of its own. The caller sets the deadline.
    pub(super) async fn send(&self, request: &ExportRequest) -> Answer {
        match self.post(Bytes::from(request.encode_to_vec())).await {
            Ok((status, body)) => answer_of(status, &body),
            Err(error) => Answer::Later(error.to_string()),
        }
    }

    async fn post(&self, body: Bytes) -> Result<(StatusCode, Bytes), Box<dyn std::error::Error + Send + Sync>> {
        let stream = TcpStream::connect((self.host.as_str(), self.port)).await?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        let host = if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() };
        let request = Request::post(self.path.as_str())
            .header(header::HOST, format!("{host}:{}", self.port))
            .header(header::CONTENT_TYPE, "application/x-protobuf")
            .header(header::USER_AGENT, concat!("hearth/", env!("CARGO_PKG_VERSION")))
            .body(Full::new(body))?;
        let asking = async {
            let response = sender.send_request(request).await?;
            let status = response.status();
            let body = Limited::new(response.into_body(), ANSWER_BYTES_MAX).collect().await?.to_bytes();
            Ok((status, body))
        };
        tokio::pin!(connection);
        tokio::pin!(asking);
        tokio::select! {
            answered = &mut asking => answered,
            ended = &mut connection => {
                ended?;
                // What was read before the connection ended is still there.
                asking.await
            }
        }
    }
}

/// As OTLP has it: some statuses say that it may go better later, every other one that it will not.
fn answer_of(status: StatusCode, body: &[u8]) -> Answer {
    if status.is_success() {
        let partial = ExportResponse::decode(body).ok().and_then(|answer| answer.partial_success);
        return match partial.filter(|partial| partial.rejected_spans > 0) {
            Some(partial) => {
                Answer::Refused(format!("it refused {} spans: {}", partial.rejected_spans, partial.error_message))
            }
            None => Answer::Taken,
        };
    }
    let told = format!("it answered {status}");
    match status.as_u16() {
        429 | 502..=504 => Answer::Later(told),
        _ => Answer::Refused(told),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints_are_as_opentelemetry_has_them() {
        let check = |text: &str, host: &str, port: u16, path: &str| {
            let expected = Endpoint { host: host.to_owned(), port, path: path.to_owned() };
            assert_eq!(Endpoint::parse(text), Ok(expected), "{text}");
        };
        check("http://127.0.0.1:4318", "127.0.0.1", 4318, "/v1/traces");
        check(" http://collector/ ", "collector", 4318, "/v1/traces");
        check("http://[::1]:9/otlp/", "::1", 9, "/otlp/v1/traces");
        check("http://collector:80/v1/traces", "collector", 80, "/v1/traces");
        for (text, problem) in
            [("collector:4318", "begin with http://"), ("", "must be a URL"), ("https://collector", "plain HTTP")]
        {
            let told = Endpoint::parse(text).unwrap_err();
            assert!(told.contains(problem), "{text}: {told}");
        }
    }

    #[test]
    fn answers_say_whether_to_try_again() {
        let refusing = ExportResponse {
            partial_success: Some(super::super::otlp::PartialSuccess {
                rejected_spans: 2,
                error_message: "too old".to_owned(),
            }),
        };
        let ok = StatusCode::OK;
        assert_eq!(answer_of(ok, &[]), Answer::Taken);
        assert_eq!(answer_of(ok, b"{}"), Answer::Taken, "an answer in another form");
        let refused = Answer::Refused("it refused 2 spans: too old".to_owned());
        assert_eq!(answer_of(ok, &refusing.encode_to_vec()), refused);
        assert!(matches!(answer_of(StatusCode::SERVICE_UNAVAILABLE, &[]), Answer::Later(_)));
        assert!(matches!(answer_of(StatusCode::BAD_REQUEST, &[]), Answer::Refused(_)));
        assert!(matches!(answer_of(StatusCode::NOT_FOUND, &[]), Answer::Refused(_)));
    }
}
