//! Words: one per thing. Identifiers use the glossary's, and the scheduler does not even name what would make it impure.

use anyhow::Result;

use crate::sources::check_each;

/// Words that the glossary replaces by another.
const NOT_USED: [(&str, &str); 10] = [
    ("coordinator", "master"),
    ("driver", "master"),
    ("executor", "worker"),
    ("executors", "worker"),
    ("generation", "attempt, or worker id"),
    ("helper", "a name that says what it does"),
    ("helpers", "a name that says what they do"),
    ("manager", "a name that says what it does"),
    ("util", "a name that says what it does"),
    ("utils", "a name that says what they do"),
];

/// Names that other crates gave, as code has them.
const FOREIGN: [&str; 12] = [
    "::utils::",
    "::util::",
    "DiskManagerBuilder",
    "DiskManagerMode",
    "SpillManager",
    "disk_manager::",
    "futures::executor::",
    "hash_utils",
    "http_body_util",
    "hyper_util",
    "tokio_util",
    "with_disk_manager_builder",
];

/// What the pure scheduler must not name.
const IMPURE: [&str; 12] = [
    "HashMap",
    "HashSet",
    "Instant",
    "Mutex",
    "RwLock",
    "SystemTime",
    "generate",
    "sleep",
    "spawn",
    "thread",
    "tokio",
    "async",
];

/// Identifiers of a Rust source, with their lines. Comments and literals are left out.
fn identifiers(text: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for (line, mut code) in code_lines(text).into_iter().enumerate() {
        for foreign in FOREIGN {
            code = code.replace(foreign, " ");
        }
        let words = code.split(|c: char| !(c.is_alphanumeric() || c == '_')).filter(|word| !word.is_empty());
        found.extend(words.map(|word| (line + 1, word.to_owned())));
    }
    found
}

/// What is between two parts of the code.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Inside {
    Code,
    LineComment,
    BlockComment,
    Text { hashes: usize, raw: bool },
}

/// The lines of a source without comments and string literals.
fn code_lines(text: &str) -> Vec<String> {
    let chars: Vec<char> = text.chars().collect();
    let (mut lines, mut line, mut inside, mut at) = (Vec::new(), String::new(), Inside::Code, 0);
    while at < chars.len() {
        let (next, width) = step(&chars[at..], inside, line.chars().last());
        if inside == Inside::Code && next == Inside::Code && chars[at] != '\n' {
            line.extend(&chars[at..at + width]);
        }
        for _ in chars[at..at + width].iter().filter(|c| **c == '\n') {
            lines.push(std::mem::take(&mut line));
        }
        (inside, at) = (next, at + width);
    }
    lines.push(line);
    lines
}

/// What follows the characters at the front of `rest`, and how many of them there are.
fn step(rest: &[char], inside: Inside, before: Option<char>) -> (Inside, usize) {
    let starts = |text: &str| text.chars().enumerate().all(|(at, c)| rest.get(at) == Some(&c));
    match inside {
        Inside::Code if starts("//") => (Inside::LineComment, 2),
        Inside::Code if starts("/*") => (Inside::BlockComment, 2),
        Inside::Code if starts("'\"'") || starts("'/'") => (Inside::Code, 3),
        Inside::Code if starts("'\\") => (Inside::Code, 4.min(rest.len())),
        Inside::Code if starts("\"") => (Inside::Text { hashes: 0, raw: before == Some('r') }, 1),
        Inside::Code if starts("#") && before == Some('r') => {
            let hashes = rest.iter().take_while(|c| **c == '#').count();
            let opens = rest.get(hashes) == Some(&'"');
            if opens { (Inside::Text { hashes, raw: true }, hashes + 1) } else { (Inside::Code, hashes) }
        }
        Inside::LineComment if starts("\n") => (Inside::Code, 1),
        Inside::BlockComment if starts("*/") => (Inside::Code, 2),
        Inside::Text { raw: false, .. } if starts("\\") => (inside, 2.min(rest.len())),
        Inside::Text { hashes, .. } if starts(&format!("\"{}", "#".repeat(hashes))) => (Inside::Code, 1 + hashes),
        Inside::Code | Inside::LineComment | Inside::BlockComment | Inside::Text { .. } => (inside, 1),
    }
}

/// The words of an identifier: `TaskState` and `task_state` have the same two.
fn words_of(identifier: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    for c in identifier.chars() {
        let ends_word =
            c == '_' || (c.is_uppercase() && words.last().is_some_and(|word| !word.ends_with(char::is_uppercase)));
        if ends_word {
            words.push(String::new());
        }
        if c != '_'
            && let Some(word) = words.last_mut()
        {
            word.push(c);
        }
    }
    words.into_iter().map(|word| word.to_lowercase()).filter(|word| !word.is_empty()).collect()
}

#[test]
fn identifiers_use_the_glossary() -> Result<()> {
    check_each(&["rs"], |_, text| {
        let mut wrong = Vec::new();
        for (line, identifier) in identifiers(text) {
            let words = words_of(&identifier);
            let unused = NOT_USED.iter().filter(|(unused, _)| words.iter().any(|word| word == unused));
            wrong.extend(
                unused.map(|(unused, instead)| format!("line {line}: `{identifier}` has `{unused}`; say {instead}")),
            );
        }
        wrong
    })
}

#[test]
fn the_scheduler_is_pure() -> Result<()> {
    check_each(&["rs"], |path, text| {
        let shown = path.to_string_lossy();
        if !shown.contains("master/scheduler/src/") {
            return Vec::new();
        }
        let impure = identifiers(text).into_iter().filter(|(_, identifier)| IMPURE.contains(&identifier.as_str()));
        impure.map(|(line, identifier)| format!("line {line}: names `{identifier}`")).collect()
    })
}

#[test]
fn identifiers_are_told_from_text() {
    let code =
        "let task_state = r#\"driver \" x\"#; // driver\n/* driver\n */ let q = '\"'; f(\"executor \\\" \"); TaskState";
    let found: Vec<(usize, String)> = identifiers(code);
    let found: Vec<(usize, &str)> = found.iter().map(|(line, word)| (*line, word.as_str())).collect();
    assert_eq!(found, [(1, "let"), (1, "task_state"), (1, "r"), (3, "let"), (3, "q"), (3, "f"), (3, "TaskState")]);
    assert_eq!(words_of("TaskState"), ["task", "state"]);
    assert_eq!(words_of("MAX_TASK_STATE"), ["max", "task", "state"]);
}
