//! What an input says of records that cannot be read.

use hearth_common::{OnError, RejectLimit};

use super::*;

#[test]
fn says_what_is_wrong_with_rejects() {
    check_input_error(
        "path = 'a.parquet'\non_error = 'reject'",
        "daily.toml:4:12: parquet inputs cannot reject records; write \"fail\"",
    );
    check_input_error(
        "path = 'a.csv'\non_error = 'rejct'",
        "daily.toml:4:12: `on_error` cannot be `rejct`; did you mean `reject`?",
    );
    check_input_error("path = 'a.csv'\nmax_rejects = 5", "daily.toml:4:15: `max_rejects` needs on_error = \"reject\"");
    check_input_error(
        "path = 'a.csv'\non_error = 'reject'\nmax_rejects = -5",
        "daily.toml:5:15: `max_rejects` must not be negative",
    );
    check_input_error(
        "path = 'a.csv'\non_error = 'reject'\nmax_rejects = '101%'",
        "daily.toml:5:15: `101%` is not a number of records such as 1000, or a share of them such as \"0.5%\"",
    );
}

#[test]
fn rejects_are_borne_up_to_a_limit() {
    let check = |lines: &str, limit: RejectLimit| {
        for path in ["a.csv", "a.jsonl"] {
            let text = format!("query = 'SELECT 1'\n[inputs.t]\npath = '{path}'\non_error = 'reject'\n{lines}");
            assert_eq!(parse(&text).unwrap().inputs["t"].on_error, OnError::Reject(limit), "{lines}");
        }
    };
    check("", RejectLimit::Records(1000));
    check("max_rejects = 0", RejectLimit::Records(0));
    check("max_rejects = '25'", RejectLimit::Records(25));
    check("max_rejects = '0.5%'", RejectLimit::Millionths(5000));
}
