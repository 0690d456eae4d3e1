//! The engines from PyPI, in a virtual environment beside the bench. One that cannot be installed is named, not left out.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use hearth_tests::workspace_dir;

use crate::contender::Engine;

/// The installed engines, and why others are not.
#[derive(Debug)]
pub(crate) struct Peers {
    python: PathBuf,
    /// Version, or the reason why it takes no part.
    state: BTreeMap<&'static str, Result<String, String>>,
    without: Vec<Engine>,
}

impl Peers {
    /// Installs what is not there yet.
    pub(crate) fn install(without: &[Engine]) -> Result<Self> {
        let environment = workspace_dir().join("tests/bench/.venv");
        let python = environment.join("bin/python");
        if !python.exists() {
            let status = Command::new("python3").args(["-m", "venv"]).arg(&environment).status();
            ensure!(status.is_ok_and(|status| status.success()), "make {} with python3 -m venv", environment.display());
        }
        let mut peers = Self { python, state: BTreeMap::new(), without: without.to_vec() };
        for engine in Engine::ALL.into_iter().filter(|engine| engine.is_peer()) {
            let name = engine.name();
            let state = if peers.is_left_out(engine) { Err("left out".to_owned()) } else { peers.install_one(name) };
            peers.state.insert(name, state);
        }
        Ok(peers)
    }

    fn install_one(&self, name: &'static str) -> Result<String, String> {
        if let Some(version) = self.version(name) {
            return Ok(version);
        }
        let output = Command::new(&self.python).args(["-m", "pip", "install", "--quiet", name]).output();
        let output = output.map_err(|error| format!("not installed: {error}"))?;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        self.version(name).ok_or_else(|| format!("not installed: {}", said.lines().last().unwrap_or_default()))
    }

    fn version(&self, name: &str) -> Option<String> {
        let code = format!("import {name}; print({name}.__version__)");
        let output = Command::new(&self.python).args(["-c", &code]).output().ok()?;
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
    }

    /// It was asked for that this engine takes no part.
    pub(crate) fn is_left_out(&self, engine: Engine) -> bool {
        self.without.contains(&engine)
    }

    /// Why an engine takes no part.
    pub(crate) fn missing(&self, engine: Engine) -> Option<&str> {
        self.state.get(engine.name())?.as_ref().err().map(String::as_str)
    }

    /// Name and version for the table.
    pub(crate) fn title(&self, engine: Engine) -> String {
        let name = match engine {
            Engine::DuckDb => "DuckDB",
            Engine::Polars => "Polars",
            Engine::Spark => "Spark",
            Engine::Hearth | Engine::DataFusion => engine.name(),
        };
        match self.state.get(engine.name()) {
            Some(Ok(version)) => format!("{name} {version}"),
            Some(Err(_)) | None => name.to_owned(),
        }
    }

    /// The command that runs a workload with an engine.
    pub(crate) fn command(&self, engine: Engine, workload: &str, paths: [&Path; 2]) -> Result<Command> {
        let script = workspace_dir().join("tests/bench/peers/peer.py");
        let mut command = Command::new(&self.python);
        command.arg(script).args([engine.name(), workload]).args(paths);
        // Polars reads it before anything else; the others are told in the script.
        command.env("POLARS_MAX_THREADS", "2").env("PYSPARK_PYTHON", &self.python);
        let scratch = std::env::temp_dir();
        command.current_dir(&scratch).env("SPARK_LOCAL_DIRS", &scratch).env("SPARK_LOCAL_IP", "127.0.0.1");
        self.python.exists().then_some(command).context("find the virtual environment of the bench")
    }
}
