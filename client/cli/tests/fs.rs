//! `hearth fs` on this machine: exit codes, messages, and that a file appears whole or not at all. HDFS has tests of its own.

#![cfg(feature = "fs")]
#![expect(clippy::unwrap_used, reason = "a test ends at the first thing that is not as it should be")]

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};

fn hearth(directory: &Path, arguments: &[&str], input: &str) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_hearth"));
    command.arg("fs").args(arguments).current_dir(directory).env_remove("RUST_LOG").env_remove("HADOOP_CONF_DIR");
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    // Whoever does not read it has ended already.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    child.wait_with_output().unwrap()
}

/// Checks exit code and a part of what was printed: to standard output where it is done, else to standard error.
fn check(directory: &Path, arguments: &[&str], code: i32, expected: &str) -> String {
    let output = hearth(directory, arguments, "from standard input\n");
    let stdout = String::from_utf8(output.stdout).unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {stdout}{stderr}");
    let told = if code == 0 { &stdout } else { &stderr };
    assert!(told.contains(expected), "{arguments:?}: {told}");
    assert!(!stderr.contains("panicked"), "{stderr}");
    stdout
}

/// Names in a directory, hidden ones too.
fn names(directory: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn what_is_typed_wrong_exits_with_2() {
    let directory = tempfile::tempdir().unwrap();
    let here = directory.path();
    check(here, &["lss", "x"], 2, "ls");
    check(here, &["ls"], 2, "PATH");
    check(here, &["ls", "s3://bucket/x"], 2, "s3:// is not supported");
    check(here, &["ls", "hdfs://nn:port/x"], 2, "`port` is not a port");
    check(here, &["ls", "x", "--wait", "5"], 2, "is not a duration");
    check(here, &["ls", "hdfs:///x"], 2, "fs.defaultFS");
    check(here, &["put", "x"], 2, "TARGET");
    check(here, &["put", "-", "dir/"], 2, "standard input has no name");
    check(here, &["rm", "-r", "/"], 2, "is a root");
    check(here, &["rm", "hdfs://nn:9000/"], 2, "is a root");
    fs::write(here.join("a"), "a").unwrap();
    fs::write(here.join("b"), "b").unwrap();
    check(here, &["put", "a", "b", "c"], 2, "`c` is no directory");
    assert_eq!(names(here), ["a", "b"]);
}

#[test]
fn files_are_copied_whole_and_not_over_others() {
    let directory = tempfile::tempdir().unwrap();
    let here = directory.path();
    fs::write(here.join("a.csv"), "k\n1\n").unwrap();
    check(here, &["put", "a.csv", "x/y/"], 0, "");
    assert_eq!(fs::read_to_string(here.join("x/y/a.csv")).unwrap(), "k\n1\n");
    let refused = "x/y/a.csv exists already\nhint: --overwrite replaces it";
    check(here, &["put", "-", "x/y/a.csv"], 1, refused);
    check(here, &["put", "a.csv", "x/y"], 1, refused);
    assert_eq!(fs::read_to_string(here.join("x/y/a.csv")).unwrap(), "k\n1\n");
    let told = check(here, &["put", "-", "x/y/a.csv", "--overwrite", "--json"], 0, "\"bytes\": 20");
    let expected = format!("{:016x}", xxhash_rust::xxh3::xxh3_64(b"from standard input\n"));
    assert!(told.contains(&expected), "{told}");
    assert_eq!(fs::read_to_string(here.join("x/y/a.csv")).unwrap(), "from standard input\n");
    assert_eq!(names(&here.join("x/y")), ["a.csv"], "nothing hidden is left");
    check(here, &["get", "missing.csv", "x/y"], 1, "there is no missing.csv\nhint: `hearth fs ls");
    check(here, &["get", "x", "z"], 1, "x is a directory\nhint: add --recursive");
    check(here, &["get", "-r", "x", "z"], 0, "");
    assert_eq!(fs::read_to_string(here.join("z/y/a.csv")).unwrap(), "from standard input\n");
    check(here, &["get", "-r", "x", "z"], 0, "");
    assert_eq!(
        fs::read_to_string(here.join("z/x/y/a.csv")).unwrap(),
        "from standard input\n",
        "below one that is there"
    );
}

#[test]
fn names_are_listed_added_up_moved_and_removed() {
    let directory = tempfile::tempdir().unwrap();
    let here = directory.path();
    fs::create_dir_all(here.join("d/e")).unwrap();
    fs::write(here.join("d/a"), "12345").unwrap();
    fs::write(here.join("d/e/b"), "1234567").unwrap();
    let listed = check(here, &["ls", "d"], 0, "/d/a");
    assert!(listed.contains("/d/e/\n") && !listed.contains("/d/e/b"), "{listed}");
    check(here, &["ls", "--recursive", "d", "--json"], 0, "/d/e/b\"");
    check(here, &["ls", "nowhere"], 1, "there is no nowhere");
    let added = check(here, &["du", "d", "--json"], 0, "\"bytes\": 12,");
    assert!(added.contains("\"files\": 2") && added.contains("\"directories\": 2"), "{added}");
    assert_eq!(check(here, &["cat", "d/a", "d/e/b"], 0, ""), "123451234567");
    check(here, &["cat", "d"], 1, "d is a directory");
    check(here, &["mv", "d/a", "d/e/b"], 1, "cannot rename d/a to d/e/b");
    check(here, &["mv", "d/a", "d/e"], 0, "");
    check(here, &["mv", "d/e/a", "hdfs://nn/a"], 2, "both names must be in the same HDFS, or on this machine");
    assert_eq!(
        (names(&here.join("d")), names(&here.join("d/e"))),
        (vec!["e".to_owned()], vec!["a".to_owned(), "b".to_owned()])
    );
    check(here, &["rm", "d"], 1, "d is a directory\nhint: add --recursive");
    check(here, &["rm", "-r", "d"], 0, "");
    check(here, &["rm", "d"], 1, "there is no d");
    check(here, &["rm", "-f", "d"], 0, "");
}

#[test]
fn every_help_shows_an_example() {
    let directory = tempfile::tempdir().unwrap();
    for command in ["ls", "cat", "put", "get", "rm", "mv", "du"] {
        let help = check(directory.path(), &[command, "--help"], 0, "Example");
        assert!(help.contains(&format!("hearth fs {command} ")), "{help}");
    }
    check(directory.path(), &["--help"], 0, "Exit codes: 0 done, 1 not done, 2 usage");
}
