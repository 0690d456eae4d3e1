//! The OpenAPI document: one table of requests, and the types of their answers, from which the schemas are made.

use axum::Json;
use serde_json::{Map, Value, json};

use super::answers::ProblemJson;
use super::described::{Described, Schemas};
use super::json::{
    AttemptsJson, ClusterJson, JobJson, JobsJson, LoadJson, LogsJson, OperatorsJson, PlanJson, RecentJson, SpreadsJson,
    TasksJson, TimelineJson, TokenJson, WorkerJson, WorkersJson,
};

/// One request of the API.
pub(super) struct Operation {
    /// `get` or `post`.
    pub(super) method: &'static str,
    /// Path below `/api/v1`.
    pub(super) path: &'static str,
    summary: &'static str,
    /// Names, types and meanings of what may stand in its query.
    query: &'static [(&'static str, &'static str, &'static str)],
    /// The type of its answer; `None` for what is not described by one.
    answer: Option<fn(&mut Schemas) -> Value>,
}

const PAGE: [(&str, &str, &str); 2] =
    [("from", "integer", "number of the first one"), ("page_size", "integer", "most in the answer")];
const JOBS: &[(&str, &str, &str)] = &[
    ("state", "string", "one state, or several with commas"),
    ("search", "string", "in name, SQL or output path, or the beginning of the id"),
    ("page_size", "integer", "most in the answer"),
    ("page_token", "string", "next_page_token of the page before"),
];
const ATTEMPTS: &[(&str, &str, &str)] = &[
    ("stage", "integer", "only attempts of this stage"),
    ("outcome", "string", "one outcome, or several with commas"),
    ("worker", "string", "only attempts on this worker"),
    ("order", "string", "notable (what went wrong, then the slowest), newest or task"),
    PAGE[0],
    PAGE[1],
];
const LOGS: &[(&str, &str, &str)] = &[
    ("cursor", "integer", "next_cursor of the answer before"),
    ("page_size", "integer", "most in the answer"),
    ("task", "string", "only lines about this task: STAGE.PARTITION"),
    ("worker", "string", "only lines that this worker told"),
];
const RECENT: &[(&str, &str, &str)] = &[PAGE[1]];
const WORKERS: &[(&str, &str, &str)] = &[
    ("state", "string", "one state, or several with commas"),
    ("search", "string", "in host or address, or the beginning of the id"),
    PAGE[0],
    PAGE[1],
];
const EVENTS: &[(&str, &str, &str)] = &[
    ("jobs", "boolean", "tell of all jobs: `jobs`"),
    ("workers", "boolean", "tell of a page of workers: `workers`"),
    ("workers_state", "string", "of that page"),
    ("workers_search", "string", "of that page"),
    ("workers_from", "integer", "of that page"),
    ("workers_page_size", "integer", "of that page"),
    ("job", "string", "tell of this job: `job`, `attempts`"),
    ("worker", "string", "tell of this worker: `worker`, `load`"),
];

const fn operation(
    (method, path): (&'static str, &'static str),
    summary: &'static str,
    query: &'static [(&'static str, &'static str, &'static str)],
    answer: Option<fn(&mut Schemas) -> Value>,
) -> Operation {
    Operation { method, path, summary, query, answer }
}

const fn of<T: Described>() -> Option<fn(&mut Schemas) -> Value> {
    Some(T::schema)
}

/// Every request.
pub(super) fn operations() -> [Operation; 21] {
    let events = "What changes, as server-sent events: `cluster`, `load`, `tick`, and what the query names";
    [
        operation(("get", "/openapi.json"), "This document", &[], None),
        operation(("get", "/events"), events, EVENTS, None),
        operation(("get", "/token"), "What a POST has to carry in its header x-hearth-token", &[], of::<TokenJson>()),
        operation(("get", "/cluster"), "The cluster in figures", &[], of::<ClusterJson>()),
        operation(("get", "/cluster/load"), "The last hour of the cluster", &[], of::<LoadJson>()),
        operation(("get", "/jobs"), "Jobs, newest first", JOBS, of::<JobsJson>()),
        operation(("get", "/jobs/{job}"), "A job", &[], of::<JobJson>()),
        operation(("get", "/jobs/{job}/plan"), "How a job is carried out", &[], of::<PlanJson>()),
        operation(("get", "/jobs/{job}/operators"), "What the operators of each stage did", &[], of::<OperatorsJson>()),
        operation(("get", "/jobs/{job}/attempts"), "Attempts of a job", ATTEMPTS, of::<AttemptsJson>()),
        operation(("get", "/jobs/{job}/spreads"), "How attempts of each stage compare", &[], of::<SpreadsJson>()),
        operation(("get", "/jobs/{job}/timeline"), "When attempts ran where", &[], of::<TimelineJson>()),
        operation(
            ("get", "/jobs/{job}/stages/{stage}/tasks"),
            "Tasks of a stage of a job that runs",
            &PAGE,
            of::<TasksJson>(),
        ),
        operation(("get", "/jobs/{job}/logs"), "What master and workers told of a job", LOGS, of::<LogsJson>()),
        operation(("post", "/jobs/{job}/cancel"), "Stop a job", &[], of::<JobJson>()),
        operation(("get", "/workers"), "Workers, by host; those that are gone last", WORKERS, of::<WorkersJson>()),
        operation(("get", "/workers/{worker}"), "A worker", &[], of::<WorkerJson>()),
        operation(("get", "/workers/{worker}/load"), "The last hour of a worker", &[], of::<LoadJson>()),
        operation(("get", "/workers/{worker}/attempts"), "Attempts on a worker", ATTEMPTS, of::<AttemptsJson>()),
        operation(("get", "/workers/{worker}/logs"), "The last lines that a worker told", RECENT, of::<RecentJson>()),
        operation(("post", "/workers/{worker}/drain"), "Let a worker leave", &[], of::<WorkerJson>()),
    ]
}

pub(super) async fn document() -> Json<Value> {
    Json(describe())
}

/// The document.
pub(super) fn describe() -> Value {
    let mut schemas = Schemas::new();
    let problem = ProblemJson::schema(&mut schemas);
    let mut paths = Map::new();
    for operation in operations() {
        let described = describe_operation(&operation, &mut schemas, &problem);
        let path = paths.entry(format!("/api/v1{}", operation.path)).or_insert_with(|| json!({}));
        path[operation.method] = described;
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Hearth",
            "version": hearth_common::ENGINE_VERSION,
            "description": "Times are RFC 3339 in UTC and end in `_at`; durations are in milliseconds and end in `_ms`; errors are \
                            application/problem+json. Names stay; new ones may come.",
        },
        "paths": paths,
        "components": { "schemas": schemas },
    })
}

fn describe_operation(operation: &Operation, schemas: &mut Schemas, problem: &Value) -> Value {
    let in_path = operation.path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
    let in_path = in_path.map(|name| {
        let kind = if name == "stage" { "integer" } else { "string" };
        json!({ "name": name, "in": "path", "required": true, "schema": { "type": kind } })
    });
    let in_query = operation.query.iter().map(
        |(name, kind, text)| json!({ "name": name, "in": "query", "description": text, "schema": { "type": kind } }),
    );
    let token = (operation.method == "post")
        .then(|| json!({ "name": "x-hearth-token", "in": "header", "required": true, "schema": { "type": "string" } }));
    let answer = match (operation.answer, operation.path) {
        (Some(schema), _) => json!({ "application/json": { "schema": schema(schemas) } }),
        (None, "/events") => json!({ "text/event-stream": { "schema": { "type": "string" } } }),
        (None, _) => json!({ "application/json": { "schema": { "type": "object" } } }),
    };
    json!({
        "summary": operation.summary,
        "parameters": in_path.chain(in_query).chain(token).collect::<Vec<Value>>(),
        "responses": {
            "200": { "description": "The answer", "content": answer },
            "default": {
                "description": "Why there is none",
                "content": { "application/problem+json": { "schema": problem } },
            },
        },
    })
}
