//! What is in `deploy/`, checked by the tools that read it where these run without a service behind them.
//!
//! `docker build` is not among them: it needs a daemon. So the instructions of the Containerfile are checked here. The compose file is checked by
//! Compose itself; the commands in both are run by the real binary.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use hearth_tests::{hearth_binary, need_tool, run_hearth, run_tool, workspace_dir};
use serde_json::Value;

const INSTALLED: &str = "/usr/local/bin/hearth";
const PYTHON: &str = "/usr/bin/python3";

fn deploy() -> PathBuf {
    workspace_dir().join("deploy")
}

fn read(path: &Path) -> Result<String> {
    fs::read_to_string(path).with_context(|| format!("read {}", path.display()))
}

/// The values of a unit's settings; the last one where there are several.
fn settings(unit: &str) -> BTreeMap<&str, &str> {
    unit.lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.split_once('=')).collect()
}

/// Runs a command line of `hearth` with `--dump-config`: its flags and its configuration file are right, and nothing starts.
fn check_command(words: &[&str]) -> Result<BTreeMap<String, String>> {
    let installed = |word: &&str| word.replace("/etc/hearth/", &format!("{}/config/", deploy().display()));
    let words: Vec<String> = words.iter().map(installed).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).chain(["--dump-config"]).collect();
    let dumped = run_hearth(&words)?.success()?.stdout;
    let pairs = dumped.lines().filter_map(|line| line.split_once(" = "));
    Ok(pairs.map(|(key, value)| (key.to_owned(), value.trim_matches('"').to_owned())).collect())
}

#[test]
fn units_are_right_and_hardened_and_wait_for_the_drain() -> Result<()> {
    need_tool(&["systemd-analyze", "--version"], "systemd")?;
    let directory = tempfile::tempdir()?;
    for (unit, patience, seconds) in [("master", "stop_timeout", 20), ("worker", "drain_timeout", 60)] {
        let name = format!("hearth-{unit}.service");
        let text = read(&deploy().join("systemd").join(&name))?;
        let settings = settings(&text);
        let command: Vec<&str> = settings["ExecStart"].split_whitespace().collect();
        assert_eq!((command[0], command[1]), (INSTALLED, unit));
        let config = check_command(&command[1..])?;
        assert_eq!(config[patience], if seconds == 60 { "1m".to_owned() } else { format!("{seconds}s") });
        let stop: u64 = settings["TimeoutStopSec"].parse()?;
        ensure!(stop >= seconds + 15, "{name} is killed {stop} s after SIGTERM, and may need {seconds} s");
        for (name, value) in [("KillSignal", "SIGTERM"), ("Restart", "on-failure"), ("ProtectSystem", "strict")] {
            assert_eq!(settings[name], value);
        }
        let state = settings["StateDirectory"];
        ensure!(command.contains(&format!("/var/lib/{state}").as_str()), "it may write where it keeps its state");

        // The binary need not be installed where the unit is checked.
        let copy = directory.path().join(&name);
        fs::write(&copy, text.replace(INSTALLED, &hearth_binary()?.to_string_lossy()))?;
        run_tool(Command::new("systemd-analyze").arg("verify").arg(&copy))?;
        let security = ["security", "--offline=true", "--threshold=25"];
        run_tool(Command::new("systemd-analyze").args(security).arg(&copy))?;
    }
    Ok(())
}

#[test]
fn compose_file_starts_what_the_binary_takes() -> Result<()> {
    need_tool(&[PYTHON, "-c", "import yaml"], "python3-yaml")?;
    let file = deploy().join("compose.yaml");
    let parse = "import json, sys, yaml; print(json.dumps(yaml.safe_load(open(sys.argv[1]))))";
    let compose: Value = serde_json::from_str(&run_tool(Command::new(PYTHON).args(["-c", parse]).arg(&file))?)?;
    let top: Vec<&String> = compose.as_object().context("it is a map")?.keys().collect();
    assert_eq!(top, ["name", "services", "volumes", "x-hearth"]);
    let services = compose["services"].as_object().context("find the services")?;
    for (name, service) in services {
        for key in service.as_object().context("a service is a map")?.keys() {
            let known = [
                "image",
                "build",
                "restart",
                "environment",
                "command",
                "ports",
                "volumes",
                "healthcheck",
                "stop_grace_period",
                "depends_on",
                "deploy",
                "profiles",
            ];
            ensure!(known.contains(&key.as_str()), "{name}.{key} is no key of a service");
        }
        let build = &service["build"];
        let context = file.parent().context("find its directory")?.join(build["context"].as_str().unwrap_or_default());
        let dockerfile = context.join(build["dockerfile"].as_str().unwrap_or_default());
        ensure!(dockerfile.is_file(), "{} is not there", dockerfile.display());
        let words: Vec<&str> =
            service["command"].as_array().context("a list")?.iter().filter_map(Value::as_str).collect();
        if matches!(words[0], "master" | "worker") {
            check_command(&words)?;
        }
        for volume in service["volumes"].as_array().into_iter().flatten().filter_map(Value::as_str) {
            let source = volume.split(':').next().unwrap_or_default();
            ensure!(source.starts_with("${") || compose["volumes"].get(source).is_some(), "{name}: no volume {source}");
        }
        for other in service["depends_on"].as_object().into_iter().flatten().map(|(other, _)| other) {
            ensure!(services[other].get("healthcheck").is_some(), "{name} waits for the health of {other}");
        }
    }
    Ok(())
}

/// Compose reads it as what is meant, and refuses what is misspelled. Debian's Compose is older than `name` at the top.
#[test]
fn compose_takes_the_compose_file() -> Result<()> {
    need_tool(&["docker-compose", "--version"], "docker-compose")?;
    let directory = tempfile::tempdir()?;
    let file = directory.path().join("compose.yaml");
    let text = read(&deploy().join("compose.yaml"))?;
    let unnamed: String =
        text.lines().filter(|line| !line.starts_with("name: ")).map(|line| format!("{line}\n")).collect();
    let config = || {
        let mut command = Command::new("docker-compose");
        command.arg("--project-directory").arg(deploy()).arg("-f").arg(&file).arg("config");
        command
    };
    fs::write(&file, &unnamed)?;
    let understood = run_tool(&mut config())?;
    for line in ["  master:", "  worker:", "  client:", "    stop_grace_period: 40s", "    - 127.0.0.1:8080:8080/tcp"] {
        ensure!(understood.lines().any(|found| found == line), "`{line}` is not in\n{understood}");
    }
    fs::write(&file, unnamed.replace("healthcheck:", "helthcheck:"))?;
    ensure!(run_tool(&mut config()).is_err(), "a misspelled key is refused");
    Ok(())
}

#[test]
fn container_file_has_known_instructions_and_sources_that_exist() -> Result<()> {
    let text = read(&deploy().join("container/Containerfile"))?.replace("\\\n", " ");
    let known = ["FROM", "WORKDIR", "COPY", "RUN", "USER", "VOLUME", "EXPOSE", "STOPSIGNAL", "ENTRYPOINT", "CMD"];
    let mut found = Vec::new();
    for line in text.lines().filter(|line| !line.trim().is_empty() && !line.starts_with('#')) {
        let (instruction, rest) = line.split_once(' ').context("an instruction has arguments")?;
        ensure!(known.contains(&instruction), "`{instruction}` is no instruction that is used here");
        if matches!(instruction, "ENTRYPOINT" | "CMD") {
            serde_json::from_str::<Vec<String>>(rest).with_context(|| format!("read {line} as a list"))?;
        }
        found.push(instruction);
    }
    assert_eq!(found.iter().filter(|instruction| **instruction == "FROM").count(), 2, "built in one, run in another");
    ensure!(
        text.contains(&format!("/src/target/release/hearth {INSTALLED}")),
        "the binary is where the units look for it"
    );
    let version = read(&workspace_dir().join("Cargo.toml"))?;
    let version = version.lines().find_map(|line| line.strip_prefix("rust-version = ")).context("find it")?;
    ensure!(
        text.contains(&format!("rust:{}-", version.trim_matches('"'))),
        "it is built by the compiler that is asked for"
    );
    Ok(())
}

#[test]
fn example_jobs_are_read() -> Result<()> {
    for entry in fs::read_dir(deploy().join("examples"))? {
        let job = entry?.path();
        let arguments =
            ["submit", &job.to_string_lossy(), "--set", "date=2026-01-15", "--master", "hearth://127.0.0.1:9"];
        // A job file that is wrong is refused before the master is looked for.
        run_hearth(&arguments)?.with_code(4).with_context(|| format!("submit {}", job.display()))?;
    }
    Ok(())
}

#[test]
fn a_second_node_takes_ten_lines() -> Result<()> {
    let readme = read(&workspace_dir().join("README.md"))?;
    let section =
        readme.split("\n## ").find(|section| section.starts_with("A second node")).context("find the section")?;
    let lines = section.lines().skip(1).filter(|line| !line.trim().is_empty() && !line.starts_with("```")).count();
    ensure!((3..=10).contains(&lines), "{lines} lines");
    for line in section.lines().filter_map(|line| line.split_once("$ ").map(|(_, command)| command)) {
        let words: Vec<&str> = line.split_whitespace().skip(1).collect();
        check_command(&words)?;
    }
    Ok(())
}
