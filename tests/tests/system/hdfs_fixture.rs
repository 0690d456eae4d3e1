//! One real HDFS for all tests that need one. They take turns, because some of them break it.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use hearth_test_hdfs::{Shape, until};
use hearth_tests::{Cluster, ClusterOptions, Rows, read_parquet_dir};

/// A real HDFS with two DataNodes, and a directory of it that is the test's own.
pub(crate) struct Hdfs {
    cluster: &'static hearth_test_hdfs::Cluster,
    home: String,
    local: tempfile::TempDir,
}

/// Runs a test on HDFS and a cluster of two workers with one slot each. Whatever a test breaks is whole again for the next one.
pub(crate) fn check(name: &str, test: impl FnOnce(&Hdfs, &mut Cluster) -> Result<()>) -> Result<()> {
    static TURN: Mutex<()> = Mutex::new(());
    static HDFS: OnceLock<std::result::Result<hearth_test_hdfs::Cluster, String>> = OnceLock::new();
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let started = || hearth_test_hdfs::Cluster::start(Shape::Single).map_err(|error| format!("{error:#}"));
    let cluster = HDFS.get_or_init(started).as_ref().map_err(|error| anyhow::anyhow!("{error}"))?;
    cluster.heal()?;
    let hdfs = Hdfs { cluster, home: format!("/tests/{name}"), local: tempfile::tempdir()? };
    hdfs.run(&["fs", "-mkdir", "-p", &hdfs.home])?;
    let environment = vec![("HADOOP_CONF_DIR".to_owned(), cluster.conf_dir().to_string_lossy().into_owned())];
    let options = ClusterOptions { environment, ..ClusterOptions::default() };
    Cluster::run(options, |cluster| test(&hdfs, cluster))
}

impl Hdfs {
    /// The URL of a name in the test's directory, as jobs have it.
    pub(crate) fn url(&self, name: &str) -> PathBuf {
        PathBuf::from(format!("{}{}/{name}", self.cluster.url(), self.home))
    }

    /// Runs a verb of the cluster's script.
    pub(crate) fn run(&self, verb: &[&str]) -> Result<String> {
        self.cluster.run(verb)
    }

    /// Puts a local file or directory there, with Hadoop's own shell.
    pub(crate) fn put(&self, local: &Path, name: &str) -> Result<()> {
        let (local, target) = (local.to_string_lossy(), format!("{}/{name}", self.home));
        self.run(&["fs", "-put", &local, &target]).map(drop)
    }

    /// Everything in the test's directory, hidden names too, as Hadoop's own shell lists it.
    pub(crate) fn list(&self) -> Result<String> {
        self.run(&["fs", "-ls", "-R", &self.home])
    }

    /// The rows of a committed output, read back with Hadoop's own shell.
    pub(crate) fn rows(&self, name: &str) -> Result<Rows> {
        let copy = tempfile::tempdir_in(self.local.path())?;
        let (from, to) = (format!("{}/{name}", self.home), copy.path().to_string_lossy().into_owned());
        self.run(&["fs", "-get", &from, &to])?;
        let output = copy.path().join(name);
        ensure!(output.join("_SUCCESS").is_file(), "{name} has no _SUCCESS: {}", self.list()?);
        read_parquet_dir(&output)
    }

    /// An output is committed with these rows, and nothing is left of its staging.
    pub(crate) fn check_output(&self, name: &str, expected: &Rows) -> Result<()> {
        self.rows(name)?.check_equal(expected).with_context(|| format!("compare {name}"))?;
        self.check_no_staging()
    }

    /// Nothing is left of any staging directory.
    pub(crate) fn check_no_staging(&self) -> Result<()> {
        let is_gone = || self.list().is_ok_and(|listed| !listed.contains(".hearth-staging"));
        until(Duration::from_secs(30), "the staging directory going", is_gone)
            .with_context(|| format!("{:?}", self.list()))
    }
}
