//! The files of the pages, embedded in the binary. They change with the version alone, but are small: nothing is cached.

use axum::extract::Path;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::answers::Problem;

const HTML: &str = "text/html; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const STYLE: &str = "text/css; charset=utf-8";
const PICTURE: &str = "image/svg+xml";

macro_rules! asset {
    ($name:literal, $type:ident) => {
        ($name, $type, include_str!(concat!("../../ui/", $name)))
    };
}

/// Every file, with its type.
pub(super) const ASSETS: [(&str, &str, &str); 22] = [
    asset!("cluster.html", HTML),
    asset!("job.html", HTML),
    asset!("worker.html", HTML),
    asset!("style.css", STYLE),
    asset!("components.css", STYLE),
    asset!("flame.svg", PICTURE),
    asset!("theme.js", SCRIPT),
    asset!("dom.js", SCRIPT),
    asset!("format.js", SCRIPT),
    asset!("api.js", SCRIPT),
    asset!("confirm.js", SCRIPT),
    asset!("live.js", SCRIPT),
    asset!("charts.js", SCRIPT),
    asset!("rates.js", SCRIPT),
    asset!("attempts.js", SCRIPT),
    asset!("graph.js", SCRIPT),
    asset!("timeline.js", SCRIPT),
    asset!("operators.js", SCRIPT),
    asset!("log.js", SCRIPT),
    asset!("cluster.js", SCRIPT),
    asset!("job.js", SCRIPT),
    asset!("worker.js", SCRIPT),
];

pub(super) async fn cluster_page() -> Response {
    answer("cluster.html")
}

pub(super) async fn job_page() -> Response {
    answer("job.html")
}

pub(super) async fn worker_page() -> Response {
    answer("worker.html")
}

pub(super) async fn file(Path(name): Path<String>) -> Response {
    answer(&name)
}

fn answer(name: &str) -> Response {
    match ASSETS.iter().find(|(known, _, _)| *known == name) {
        Some((_, content_type, text)) => ([(header::CONTENT_TYPE, *content_type)], *text).into_response(),
        None => Problem::new(StatusCode::NOT_FOUND, "there is no such file").into_response(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What all pages weigh together, without any compression, in bytes.
    const WEIGHT_MAX: usize = 200 << 10;

    #[test]
    fn pages_are_light_and_need_nothing_from_elsewhere() {
        let weight: usize = ASSETS.iter().map(|(_, _, text)| text.len()).sum();
        assert!(weight < WEIGHT_MAX, "{weight} bytes");
        for (name, _, text) in ASSETS {
            let outside = text.replace("http://www.w3.org/2000/svg", "");
            assert!(!outside.contains("http://") && !outside.contains("https://"), "{name} names another site");
            for forbidden in
                ["innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", " style=", "onclick="]
            {
                assert!(!text.contains(forbidden), "{name} has {forbidden}");
            }
        }
    }

    #[test]
    fn pages_name_files_that_are_there() {
        for (name, _, text) in ASSETS {
            for found in text.split("/ui/").skip(1) {
                let file: String = found.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '.').collect();
                assert!(ASSETS.iter().any(|(known, _, _)| *known == file), "{name} names /ui/{file}");
            }
        }
    }
}
