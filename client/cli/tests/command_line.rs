//! The command line as a contract: exit codes, messages, help, and generated data. Needs no master.

#![expect(clippy::unwrap_used, reason = "a test ends at the first thing that is not as it should be")]

use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Output};

/// Runs `hearth` in `directory`, without anything from the outer environment that it reads.
fn hearth(directory: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_hearth"))
        .args(arguments)
        .current_dir(directory)
        .env_remove("HEARTH_MASTER")
        .env_remove("RUST_LOG")
        .output()
        .unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// Checks exit code and a part of standard error.
fn check_error(directory: &Path, arguments: &[&str], code: i32, expected: &str) {
    let output = hearth(directory, arguments);
    let stderr = text(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {stderr}");
    assert!(stderr.contains(expected), "{arguments:?}: {stderr}");
    assert!(!stderr.contains("panicked") && !stderr.contains("RUST_BACKTRACE"), "{stderr}");
}

/// An address where nobody listens.
fn dead_address() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    format!("hearth://{}", listener.local_addr().unwrap())
}

#[test]
fn usage_errors_exit_with_2() {
    let directory = tempfile::tempdir().unwrap();
    let here = directory.path();
    check_error(here, &["sumbit"], 2, "submit");
    check_error(here, &["list", "--stat", "done"], 2, "--state");
    check_error(here, &["list", "--state", "runing"], 2, "did you mean `running`?");
    check_error(here, &["status", "17"], 2, "`17` is not a valid job id");
    check_error(here, &["workers", "--master", "http://x"], 2, "only hearth:// and spark:// are known");
    check_error(here, &["workers", "--master", "local[0]"], 2, "local[*]");
    check_error(here, &["workers", "--master", "local[2]"], 2, "give --master hearth://HOST:7077");
    check_error(here, &["submit", "--name", "x"], 2, "there is nothing to submit");
    check_error(here, &["submit", "job.toml", "--sql", "SELECT 1"], 2, "cannot be used with");
    check_error(here, &["submit", "--sql", "SELECT 1", "--timeout", "5"], 2, "is not a duration");
    check_error(here, &["submit", "--sql", "SELECT 1", "--output", "x", "--mode", "appendd"], 2, "append");
    check_error(here, &["generate", "x", "--users", "0"], 2, "--users");
    check_error(here, &["check", "a.csv", "--shema", "a string"], 2, "--schema");
    check_error(here, &["check", "--format", "csv"], 2, "PATH");
    check_error(here, &["check", "a.csv", "--job", "job.toml"], 2, "cannot be used with");
    check_error(here, &["check", "a.csv", "--input", "t"], 2, "cannot be used with");
    check_error(here, &["check", "data"], 2, "the format of input `data` is not clear from its path");
    check_error(here, &["check", "a.csv", "--format", "cvs"], 2, "did you mean `csv`?");
    check_error(here, &["check", "a.csv", "--compression", "gzp"], 2, "did you mean `gzip`?");
    check_error(here, &["check", "a.csv", "--max-rejects", "5"], 2, "--on-error");
    let submit = ["submit", "--sql", "SELECT 1", "--input", "t=a.csv", "--on-error"];
    check_error(here, &[&submit[..], &["t=skip"]].concat(), 2, "use fail, reject");
    check_error(here, &[&submit[..], &["u=reject"]].concat(), 2, "there is no input `u`");
}

#[test]
fn wrong_jobs_exit_with_2_before_any_master_is_asked() {
    let directory = tempfile::tempdir().unwrap();
    let here = directory.path();
    let job = |text: &str| fs::write(here.join("job.toml"), text).unwrap();
    check_error(here, &["submit", "nowhere.toml", "--master", "local[1]"], 2, "nowhere.toml");
    job("query = 'SELECT 1'\n[inputs.t]\npath = 'a.csv'\nformt = 'csv'\n");
    let expected = "error: job.toml:4:1: `formt` is not a key of [inputs.t]; did you mean `format`?";
    check_error(here, &["submit", "job.toml", "--master", "local[1]"], 2, expected);
    job("query = 'SELECT ${day}'\n");
    let expected = "error: job.toml:1:17: `${day}` has no value; add --set day=VALUE";
    check_error(here, &["submit", "job.toml", "--master", "local[1]"], 2, expected);
    let flags = ["submit", "--master", "local[1]", "--sql", "SELECT 1", "--input", "t=data"];
    check_error(here, &flags, 2, "the format of input `t` is not clear from its path");
    check_error(here, &[&flags[..], &["--format", "cvs"]].concat(), 2, "did you mean `csv`?");
    check_error(here, &[&flags[..], &["--format", "tt=csv"]].concat(), 2, "there is no input `tt`");
    let schema = [&flags[..], &["--format", "csv", "--schema", "a strin"]].concat();
    check_error(here, &schema, 2, "`strin` is not a type");
}

#[test]
fn a_master_that_is_not_there_exits_with_4() {
    let directory = tempfile::tempdir().unwrap();
    let here = directory.path();
    let address = dead_address();
    let expected = format!("error: cannot reach a master at {}", address.trim_start_matches("hearth://"));
    let job = "019b2c3d-0000-7000-8000-000000000001";
    for arguments in [&["list"][..], &["workers"], &["status", job], &["cancel", job], &["submit", "--sql", "SELECT 1"]]
    {
        check_error(here, &[arguments, &["--master", &address]].concat(), 4, &expected);
    }
    check_error(here, &["list", "--master", &address], 4, "hint: start a master with `hearth master`");
    let output =
        Command::new(env!("CARGO_BIN_EXE_hearth")).arg("list").env("HEARTH_MASTER", &address).output().unwrap();
    assert_eq!(output.status.code(), Some(4), "the environment names the master");
}

#[test]
fn every_help_shows_an_example() {
    let directory = tempfile::tempdir().unwrap();
    let mut commands = vec!["submit", "check", "status", "list", "cancel", "workers", "generate"];
    if cfg!(feature = "cluster") {
        commands.extend(["demo", "master", "worker"]);
    }
    for command in commands {
        let output = hearth(directory.path(), &[command, "--help"]);
        assert_eq!(output.status.code(), Some(0));
        assert!(text(&output.stdout).contains("Example"), "{command}");
    }
    let help = text(&hearth(directory.path(), &["--help"]).stdout);
    assert!(help.contains("Exit codes: 0 done, 1 job failed, 2 usage or job file, 3 cancelled, 4 master not reached"));
}

/// All rows in the order of the files.
fn rows(directory: &Path) -> Vec<String> {
    let mut files: Vec<_> = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let mut rows = Vec::new();
    for file in files {
        let text = fs::read_to_string(&file).unwrap();
        let mut lines = text.lines();
        if file.extension().is_some_and(|extension| extension == "csv") {
            assert_eq!(lines.next(), Some("email,timestamp,action"));
        }
        rows.extend(lines.map(str::to_owned));
    }
    rows
}

#[test]
fn generated_rows_do_not_depend_on_files_and_threads() {
    let directory = tempfile::tempdir().unwrap();
    let here = directory.path();
    let generate = |place: &str, more: &[&str]| {
        let arguments = [&["generate", place, "--rows", "50000", "--users", "1000", "--json"], more].concat();
        let output = hearth(here, &arguments);
        assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
        let told: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(told["rows"], 50_000);
        rows(&here.join(place))
    };
    let one = generate("one", &["--files", "1"]);
    assert_eq!(one.len(), 50_000);
    assert_eq!(generate("seven", &["--files", "7", "--threads", "3"]), one);
    assert_ne!(generate("other", &["--seed", "2"]), one);
    let json = generate("json", &["--format", "json"]);
    let first: serde_json::Value = serde_json::from_str(&json[0]).unwrap();
    let fields = [&first["email"], &first["timestamp"], &first["action"]].map(|field| field.as_str().unwrap());
    assert_eq!(fields.join(","), one[0]);
}

#[test]
fn generate_overwrites_only_when_told() {
    let directory = tempfile::tempdir().unwrap();
    let here = directory.path();
    let generate = ["generate", "data", "--rows", "10", "--files"];
    assert_eq!(hearth(here, &[&generate[..], &["3"]].concat()).status.code(), Some(0));
    check_error(here, &[&generate[..], &["1"]].concat(), 2, "hint: add --force");
    fs::write(here.join("data/mine.txt"), "kept").unwrap();
    assert_eq!(hearth(here, &[&generate[..], &["1", "--force"]].concat()).status.code(), Some(0));
    let mut names: Vec<_> = fs::read_dir(here.join("data"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(names, ["mine.txt", "part-00000.csv"]);
}

#[cfg(feature = "cluster")]
#[test]
fn configurations_are_dumped_and_read_back() {
    let directory = tempfile::tempdir().unwrap();
    let here = directory.path();
    for (command, odd, near) in [("master", "statedir", "state_dir"), ("worker", "memry", "memory")] {
        let dumped = hearth(here, &[command, "--dump-config"]);
        assert_eq!(dumped.status.code(), Some(0), "{}", text(&dumped.stderr));
        fs::write(here.join("config.toml"), &dumped.stdout).unwrap();
        let again = hearth(here, &[command, "--config", "config.toml", "--dump-config"]);
        assert_eq!(text(&again.stdout), text(&dumped.stdout));
        fs::write(here.join("config.toml"), format!("{odd} = 'x'\n")).unwrap();
        let expected = format!("hint: did you mean `{near}`?");
        check_error(here, &[command, "--config", "config.toml"], 2, &expected);
    }
}
