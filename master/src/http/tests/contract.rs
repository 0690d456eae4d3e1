//! What the API promises: the OpenAPI document fits the answers, `/json/` has the names that Spark's has, POST needs its token.

use std::collections::BTreeSet;

use serde_json::Value;

use super::scene::{FAILED, RUNNING, Scene, snapshot, worker_id};
use super::schema::misfits;
use crate::http::openapi::operations;

/// The names in the answer of Spark's standalone master, by place.
const SPARK_MASTER: [(&str, &str); 3] = [
    (
        "",
        "activeapps activedrivers aliveworkers completedapps completeddrivers cores coresused memory memoryused resources \
         resourcesused status url workers",
    ),
    (
        "/workers/0",
        "cores coresfree coresused host id lastheartbeat memory memoryfree memoryused port resources resourcesfree \
         resourcesused state webuiaddress",
    ),
    (
        "/activeapps/0",
        "cores duration id memoryperexecutor memoryperslave name resourcesperexecutor resourcesperslave starttime state \
         submitdate user",
    ),
];
/// The names in the answer of Spark's standalone worker, by place.
const SPARK_WORKER: [(&str, &str); 3] = [
    (
        "",
        "cores coresused executors finishedexecutors id masterurl masterwebuiurl memory memoryused resources resourcesused",
    ),
    ("/executors/0", "appdesc appid id memory resources"),
    (
        "/executors/0/appdesc",
        "command cores memoryperexecutor memoryperslave name resourcesperexecutor resourcesperslave user",
    ),
];

fn check_names(document: &Value, expected: &[(&str, &str)]) {
    for (place, names) in expected {
        let found: BTreeSet<&str> =
            document.pointer(place).unwrap().as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(found, names.split_whitespace().collect(), "{place}");
    }
}

#[tokio::test]
async fn json_has_the_names_that_sparks_has() {
    let scene = Scene::start(snapshot(3, 30)).await;
    for path in ["/json/", "/json"] {
        let master = scene.get(path).await.json();
        check_names(&master, &SPARK_MASTER);
        assert_eq!(
            (&master["aliveworkers"], &master["cores"], &master["status"]),
            (&3.into(), &24.into(), &"ALIVE".into())
        );
        assert_eq!(
            (&master["workers"][0]["state"], &master["activeapps"][0]["state"]),
            (&"ALIVE".into(), &"RUNNING".into())
        );
        assert_eq!(master["completedapps"][0]["state"], "FAILED");
        let page = master["workers"][0]["webuiaddress"].as_str().unwrap().to_owned();
        let path = page.strip_prefix(&format!("http://{}", scene.address)).unwrap();
        check_names(&scene.get(&format!("{path}/json/")).await.json(), &SPARK_WORKER);
    }
}

fn path_of(path: &str) -> String {
    let path = path.replace("{stage}", "0").replace("{worker}", &worker_id(1).to_string());
    format!("/api/v1{}", path.replace("{job}", &RUNNING.to_string()))
}

#[tokio::test]
async fn answers_are_as_the_document_says() {
    let scene = Scene::start(snapshot(5, 200)).await;
    let document = scene.get("/api/v1/openapi.json").await.json();
    assert_eq!(document["openapi"], "3.1.0");
    let token = scene.get("/api/v1/token").await.json()["token"].as_str().unwrap().to_owned();
    let mut tried = 0;
    for operation in operations().iter().filter(|operation| operation.path != "/events") {
        let header = format!("x-hearth-token: {token}\r\n");
        let method = operation.method.to_uppercase();
        let answer = scene.send(&method, &path_of(operation.path), &header).await;
        assert_eq!(answer.status, 200, "{method} {}: {}", operation.path, answer.body);
        let described = &document["paths"][format!("/api/v1{}", operation.path)][operation.method];
        let schema = &described["responses"]["200"]["content"]["application/json"]["schema"];
        assert!(schema.is_object(), "{} is described", operation.path);
        if operation.path != "/openapi.json" {
            let wrong = misfits(&answer.json(), schema, &document, operation.path);
            assert!(wrong.is_empty(), "{wrong:#?}");
        }
        let wrong_method = if operation.method == "get" { "POST" } else { "GET" };
        assert_eq!(scene.send(wrong_method, &path_of(operation.path), &header).await.status, 405, "{}", operation.path);
        tried += 1;
    }
    assert_eq!(tried, operations().len() - 1);
    let failed = scene.get(&format!("/api/v1/jobs/{FAILED}")).await.json();
    let schema =
        &document["paths"]["/api/v1/jobs/{job}"]["get"]["responses"]["200"]["content"]["application/json"]["schema"];
    let wrong = misfits(&failed, schema, &document, "failed");
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert_eq!(failed["failure"]["place"]["line"], 4);
}

#[tokio::test]
async fn problems_are_told_as_problems() {
    let scene = Scene::start(snapshot(1, 1)).await;
    let document = scene.get("/api/v1/openapi.json").await.json();
    let schema = serde_json::json!({ "$ref": "#/components/schemas/ProblemJson" });
    for (path, status, text) in [
        ("/api/v1/nothing", 404, "openapi.json"),
        ("/api/v1/jobs/x", 400, "`x` is not a valid job id"),
        ("/api/v1/jobs/00000000-0000-7000-8000-000000000000", 404, "no job"),
        ("/api/v1/jobs?state=nice", 400, "use one of queued, planning"),
        ("/api/v1/jobs?colour=red", 400, "colour"),
        ("/api/v1/workers?state=nice", 400, "use one of alive"),
        ("/api/v1/events?job=x", 400, "`x` is not a valid job id"),
        ("/api/v1/workers/00000000-0000-7000-8000-000000000000", 404, "no worker"),
    ] {
        let answer = scene.get(path).await;
        assert_eq!(answer.status, status, "{path}: {}", answer.body);
        assert!(answer.head.contains("content-type: application/problem+json"), "{path}: {}", answer.head);
        assert!(answer.body.contains(text), "{path}: {}", answer.body);
        let wrong = misfits(&answer.json(), &schema, &document, path);
        assert!(wrong.is_empty(), "{wrong:#?}");
    }
}

#[tokio::test]
async fn what_changes_something_needs_the_token() {
    let scene = Scene::start(snapshot(1, 1)).await;
    let (job, worker) = (format!("/api/v1/jobs/{RUNNING}/cancel"), format!("/api/v1/workers/{}/drain", worker_id(0)));
    let token = scene.get("/api/v1/token").await.json()["token"].as_str().unwrap().to_owned();
    for path in [job, worker] {
        assert_eq!(scene.send("POST", &path, "").await.status, 403);
        assert_eq!(scene.send("POST", &path, "x-hearth-token: guess\r\n").await.status, 403);
        let foreign = format!("x-hearth-token: {token}\r\norigin: http://evil.example\r\n");
        assert_eq!(scene.send("POST", &path, &foreign).await.status, 403);
        let own =
            format!("x-hearth-token: {token}\r\norigin: http://{}\r\nsec-fetch-site: same-origin\r\n", scene.address);
        assert_eq!(scene.send("POST", &path, &own).await.status, 200);
    }
}
