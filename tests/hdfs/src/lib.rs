//! Drives a real HDFS on the loopback interface, or on several hosts, through the script `tests/hdfs/cluster`.
//!
//! A cluster ends with the process that started it, however that ends: a guard waits for the end of a pipe that only this process
//! holds open.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};

/// Which shape of cluster to start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// One `NameNode`.
    Single,
    /// Two, of which the first is active.
    Pair,
    /// One, with Kerberos and encrypted transfers. What the script runs is done as the superuser.
    Secure,
}

/// A host for servers of HDFS, such as a network namespace. It shares this machine's files.
#[derive(Debug, Clone)]
pub struct Node {
    /// Its address.
    pub address: String,
    /// What to write before a command that is to run there, such as `["ip", "netns", "exec", "NAME"]`.
    pub entrance: Vec<String>,
}

/// A running cluster with two `DataNode`s. Dropped, it is stopped and removed.
#[derive(Debug)]
pub struct Cluster {
    directory: PathBuf,
    guard: Child,
    shape: Shape,
    /// Empty for the loopback interface.
    nodes: Vec<Node>,
    url: String,
    https: [String; 2],
}

impl Cluster {
    /// Starts a cluster and waits until it serves.
    ///
    /// # Errors
    /// What the script says: it names what this machine lacks.
    pub fn start(shape: Shape) -> Result<Self> {
        let verb = match shape {
            Shape::Single => "start",
            Shape::Pair => "start-ha",
            Shape::Secure => "start-secure",
        };
        Self::start_as(shape, Vec::new(), &[verb, "2"])
    }

    /// Starts a cluster with one replica of each file on several hosts: a `NameNode` and a `DataNode` on the first, and a `DataNode`,
    /// known as `nodeI` with I counted from one, on each of the others. Waits until it serves.
    ///
    /// # Errors
    /// What the script says: it names what this machine lacks.
    pub fn start_on(nodes: Vec<Node>) -> Result<Self> {
        let addresses = nodes.clone();
        let verb: Vec<&str> =
            std::iter::once("start-on").chain(addresses.iter().map(|node| node.address.as_str())).collect();
        let cluster = Self::start_as(Shape::Single, nodes, &verb)?;
        for index in 1..cluster.nodes.len() {
            cluster.run_on(index, &["start-dn", &(index + 1).to_string()])?;
        }
        cluster.run(&["wait"])?;
        Ok(cluster)
    }

    fn start_as(shape: Shape, nodes: Vec<Node>, verb: &[&str]) -> Result<Self> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("hearth-hdfs-test-{}-{number}", std::process::id());
        let directory = std::env::temp_dir().join(name);
        let guard = script(&[], &directory, &["guard"]).stdin(Stdio::piped()).stdout(Stdio::null()).spawn();
        let guard = guard.context("start the guard of the test cluster")?;
        let mut cluster = Self { directory, guard, shape, nodes, url: String::new(), https: Default::default() };
        let output = cluster.run(verb)?;
        let find = |name: &str| output.lines().find_map(|line| line.strip_prefix(name)).context("read its addresses");
        find("URL=")?.clone_into(&mut cluster.url);
        let address = find("NN1_ADDRESS=")?;
        cluster.https = [find("NN1_HTTP=")?, find("NN2_HTTP=")?].map(|port| format!("{address}:{port}"));
        Ok(cluster)
    }

    /// `hdfs://host:port` or `hdfs://nameservice`, without a slash at the end.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// `host:port` where the first `NameNode` answers over HTTP.
    #[must_use]
    pub fn http(&self) -> &str {
        &self.https[0]
    }

    /// `host:port` where the active `NameNode` answers over HTTP, which is another one after a failover.
    ///
    /// # Errors
    /// None of them is active.
    pub fn http_of_active(&self) -> Result<&str> {
        Ok(if self.active()? == "2" { &self.https[1] } else { &self.https[0] })
    }

    /// Which `NameNode` is the active one: `1` or `2`.
    ///
    /// # Errors
    /// None of them is.
    pub fn active(&self) -> Result<String> {
        self.run(&["active"]).map(|active| active.trim().to_owned())
    }

    /// What to set `HADOOP_CONF_DIR` to.
    #[must_use]
    pub fn conf_dir(&self) -> PathBuf {
        self.directory.join("conf")
    }

    /// A copy of that directory, in which some properties are others.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn conf_dir_with(&self, name: &str, properties: &[(&str, &str)]) -> Result<PathBuf> {
        let directory = self.directory.join(format!("conf-{name}"));
        std::fs::create_dir_all(&directory)?;
        std::fs::copy(self.conf_dir().join("core-site.xml"), directory.join("core-site.xml"))?;
        let site = std::fs::read_to_string(self.conf_dir().join("hdfs-site.xml"))?;
        let line =
            |(name, value): &(&str, &str)| format!("<property><name>{name}</name><value>{value}</value></property>\n");
        let lines: String = properties.iter().map(line).collect();
        // Of two values the later one counts.
        std::fs::write(
            directory.join("hdfs-site.xml"),
            site.replace("</configuration>", &format!("{lines}</configuration>")),
        )?;
        Ok(directory)
    }

    /// Runs a verb of the script, such as `["kill-dn", "1"]`. Answers with what it printed.
    ///
    /// # Errors
    /// The script failed; the error has what it said.
    pub fn run(&self, verb: &[&str]) -> Result<String> {
        self.run_on(0, verb)
    }

    /// The same on another of the hosts that the cluster was started on: a file that is put there lies there.
    ///
    /// # Errors
    /// The script failed; the error has what it said.
    pub fn run_on(&self, node: usize, verb: &[&str]) -> Result<String> {
        let output = output_within(self.script(node, verb), Duration::from_secs(180))?;
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        ensure!(
            output.status.success(),
            "cluster {}: {}{said}",
            verb.join(" "),
            String::from_utf8_lossy(&output.stderr)
        );
        Ok(said)
    }

    /// Sends SIGKILL to a server, such as `nn1`, and does not wait for its end: faster than the script, and [`Cluster::run`] with
    /// `kill-nn` waits.
    ///
    /// # Errors
    /// It does not run.
    pub fn kill_now(&self, server: &str) -> Result<()> {
        let process = std::fs::read_to_string(self.directory.join("pids").join(server))?;
        let process = process.trim();
        let command = std::fs::read_to_string(format!("/proc/{process}/cmdline"))?;
        ensure!(command.contains(&*self.directory.to_string_lossy()), "{server} does not run");
        ensure!(Command::new("kill").args(["-KILL", process]).status()?.success(), "{server} does not run");
        Ok(())
    }

    /// The bytes of a file, as Hadoop's own shell reads them.
    ///
    /// # Errors
    /// The shell failed.
    pub fn cat(&self, path: &str) -> Result<Vec<u8>> {
        let output = output_within(self.script(0, &["fs", "-cat", path]), Duration::from_secs(60))?;
        ensure!(output.status.success(), "cat {path}: {}", String::from_utf8_lossy(&output.stderr));
        Ok(output.stdout)
    }

    /// Writes a file with Hadoop's own shell.
    ///
    /// # Errors
    /// The shell failed.
    pub fn put(&self, path: &str, content: &[u8]) -> Result<()> {
        let local = self.directory.join("put");
        std::fs::File::create(&local)?.write_all(content)?;
        self.run(&["fs", "-put", "-f", &local.display().to_string(), path]).map(drop)
    }

    fn script(&self, node: usize, verb: &[&str]) -> Command {
        script(self.nodes.get(node).map_or(&[], |node| &node.entrance), &self.directory, verb)
    }

    /// Makes the cluster whole again after a test that broke something: everything runs, and serves.
    ///
    /// # Errors
    /// It does not come back.
    pub fn heal(&self) -> Result<()> {
        for (kind, ids) in [("nn", ["1", "2"]), ("dn", ["1", "2"])] {
            for id in ids {
                let known = self.directory.join("pids").join(format!("{kind}{id}")).exists();
                // What runs cannot be started, and what does not run cannot be resumed.
                if known && self.run(&[&format!("resume-{kind}"), id]).is_err() {
                    self.run(&[&format!("start-{kind}"), id])?;
                }
            }
        }
        if self.shape == Shape::Pair && self.active().is_err() {
            until(Duration::from_secs(60), "an active NameNode", || self.run(&["transition", "1"]).is_ok())?;
        }
        // The shell that leaves safe mode takes seconds to start.
        let is_safe = || self.run(&["state"]).map_or(true, |state| !state.contains("\"Operational\""));
        until(Duration::from_secs(60), "safe mode left", || !is_safe() || self.run(&["safemode", "leave"]).is_ok())?;
        self.run(&["wait"]).map(drop)
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        // Its standard input ends here; it then stops what runs.
        drop(self.guard.stdin.take());
        let _ended = self.guard.wait();
    }
}

fn script(entrance: &[String], directory: &Path, verb: &[&str]) -> Command {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("cluster");
    let mut command = match entrance {
        [] => Command::new(script),
        [program, arguments @ ..] => {
            let mut command = Command::new(program);
            command.args(arguments).arg(script);
            command
        }
    };
    command.arg("-d").arg(directory).args(verb).env_remove("HADOOP_CONF_DIR").env_remove("HADOOP_USER_NAME");
    command
}

/// Runs a command to its end, or ends it.
fn output_within(mut command: Command, limit: Duration) -> Result<Output> {
    let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    let id = child.id();
    let waiting = std::thread::spawn(move || child.wait_with_output());
    let begun = Instant::now();
    while !waiting.is_finished() {
        if begun.elapsed() > limit {
            Command::new("kill").arg("-KILL").arg(id.to_string()).status()?;
            bail!("{command:?} took longer than {} s", limit.as_secs());
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    match waiting.join() {
        Ok(output) => Ok(output?),
        Err(_) => bail!("waiting for {command:?} failed"),
    }
}

/// Waits until a condition holds.
///
/// # Errors
/// It does not within `limit`.
pub fn until(limit: Duration, what: &str, mut holds: impl FnMut() -> bool) -> Result<()> {
    let begun = Instant::now();
    while !holds() {
        ensure!(begun.elapsed() < limit, "{what} did not happen within {} s", limit.as_secs());
        std::thread::sleep(Duration::from_millis(50));
    }
    Ok(())
}
