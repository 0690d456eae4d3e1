//! Whatever is written is a job or an error, and strings are kept as they stand.

use super::*;

/// Pieces that are likely to go together into something nearly right.
const PIECES: [&str; 34] = [
    "query",
    "query_file",
    "inputs",
    "output",
    "settings",
    "name",
    "path",
    "format",
    "schema",
    "on_error",
    "delimiter",
    "=",
    " = ",
    "\n",
    "[",
    "]",
    "{",
    "}",
    "'",
    "\"",
    "'''",
    "'a.csv'",
    "'csv'",
    "${x}",
    "${",
    "$$",
    "1",
    "true",
    ".",
    ",",
    "#",
    "é",
    "\\",
    "[inputs.t]\n",
];

proptest::proptest! {
    #[test]
    fn any_text_is_a_job_or_an_error(text in ".*") {
        let _ = parse(&text);
        let _ = parse_schema(&text);
        let _ = format_of_paths(&[text]);
    }

    #[test]
    fn any_mix_of_pieces_is_a_job_or_an_error(pieces in proptest::collection::vec(0..PIECES.len(), 0..40)) {
        let text: String = pieces.into_iter().map(|piece| PIECES[piece]).collect();
        let _ = parse(&text);
        let _ = parse(&format!("query = 'x'\n[inputs.t]\n{text}"));
    }

    #[test]
    fn any_strings_are_kept(name in "[^$\\PC]*", path in "[^$\\PC]*") {
        let quoted = |text: &str| toml::Value::String(text.to_owned()).to_string();
        let text = format!("name = {}\nquery = 'x'\ninputs.t = {{ path = {}, format = 'csv' }}", quoted(&name), quoted(&path));
        if let Ok(job) = parse(&text) {
            proptest::prop_assert_eq!(job.name, name);
            proptest::prop_assert_eq!(&job.inputs["t"].paths, &[absolute_location(&path, &origin().directory)]);
        }
    }
}
