//! One real HDFS for all tests that need one. They take turns, because some of them break it.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, TryRecvError};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use hearth_test_hdfs::{Shape, until};
use hearth_tests::data::UserActions;
use hearth_tests::{Cluster, ClusterOptions, Rows, http_get, read_parquet_dir};

/// A real HDFS with two DataNodes, and a directory of it that is the test's own.
pub(crate) struct Hdfs {
    cluster: &'static hearth_test_hdfs::Cluster,
    home: String,
    local: tempfile::TempDir,
}

/// Settings with which nothing waits long for a server that was broken.
pub(crate) const IMPATIENT: &str = "[hdfs]\nio_timeout = \"4s\"\nrpc_timeout = \"4s\"\n";

/// Runs a test on HDFS and a cluster of two workers with one slot each. Whatever a test breaks is whole again for the next one.
pub(crate) fn check(name: &str, test: impl FnOnce(&Hdfs, &mut Cluster) -> Result<()>) -> Result<()> {
    check_with(name, ClusterOptions::default(), test)
}

/// As [`check`], on another cluster of Hearth.
pub(crate) fn check_with(
    name: &str,
    options: ClusterOptions,
    test: impl FnOnce(&Hdfs, &mut Cluster) -> Result<()>,
) -> Result<()> {
    check_alone(name, |hdfs| {
        let mut options = ClusterOptions { environment: hdfs.environment(), ..options };
        if options.master_config.is_empty() {
            IMPATIENT.clone_into(&mut options.master_config);
        }
        if options.worker_configs.is_empty() {
            options.worker_configs.push(IMPATIENT.to_owned());
        }
        Cluster::run(options, |cluster| test(hdfs, cluster))
    })
}

/// Runs a test on HDFS, without a cluster of Hearth.
pub(crate) fn check_alone(name: &str, test: impl FnOnce(&Hdfs) -> Result<()>) -> Result<()> {
    static TURN: Mutex<()> = Mutex::new(());
    static HDFS: OnceLock<std::result::Result<hearth_test_hdfs::Cluster, String>> = OnceLock::new();
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let started = || hearth_test_hdfs::Cluster::start(Shape::Single).map_err(|error| format!("{error:#}"));
    let cluster = HDFS.get_or_init(started).as_ref().map_err(|error| anyhow::anyhow!("{error}"))?;
    cluster.heal()?;
    let hdfs = Hdfs { cluster, home: format!("/tests/{name}"), local: tempfile::tempdir()? };
    hdfs.run(&["fs", "-mkdir", "-p", &hdfs.home])?;
    test(&hdfs)
}

impl Hdfs {
    /// Environment variables by which processes find it.
    pub(crate) fn environment(&self) -> Vec<(String, String)> {
        vec![("HADOOP_CONF_DIR".to_owned(), self.cluster.conf_dir().to_string_lossy().into_owned())]
    }

    /// The URL of a name in the test's directory, as jobs have it.
    pub(crate) fn url(&self, name: &str) -> PathBuf {
        PathBuf::from(format!("{}{}/{name}", self.cluster.url(), self.home))
    }

    /// Runs a verb of the cluster's script.
    pub(crate) fn run(&self, verb: &[&str]) -> Result<String> {
        self.cluster.run(verb)
    }

    /// The URL of user actions, which are put there once for all tests.
    pub(crate) fn actions(&self, data: UserActions) -> Result<PathBuf> {
        static THERE: Mutex<Vec<u64>> = Mutex::new(Vec::new());
        let path = format!("/data/actions-{}", data.rows);
        let mut there = THERE.lock().unwrap_or_else(PoisonError::into_inner);
        if !there.contains(&data.rows) {
            self.run(&["fs", "-mkdir", "-p", "/data"])?;
            self.run(&["fs", "-put", &data.directory()?.to_string_lossy(), &path])?;
            there.push(data.rows);
        }
        Ok(self.at(&path))
    }

    /// The URL of any path.
    pub(crate) fn at(&self, path: &str) -> PathBuf {
        PathBuf::from(format!("{}{path}", self.cluster.url()))
    }

    /// Puts files with these texts into a directory of the test's.
    pub(crate) fn put_text(&self, directory: &str, files: &[(&str, &str)]) -> Result<()> {
        self.put(write_all(files)?.path(), directory)
    }

    /// Puts files with one replica each, about as many on each DataNode.
    pub(crate) fn put_scattered(&self, path: &str, files: &[(&str, &str)]) -> Result<()> {
        let local = write_all(files)?;
        self.run(&["fs", "-mkdir", "-p", "/data"])?;
        self.run(&["fs", "-Ddfs.replication=1", "-put", &local.path().to_string_lossy(), path]).map(drop)
    }

    /// Puts a local file or directory there, with Hadoop's own shell.
    pub(crate) fn put(&self, local: &Path, name: &str) -> Result<()> {
        let (local, target) = (local.to_string_lossy(), format!("{}/{name}", self.home));
        self.run(&["fs", "-put", &local, &target]).map(drop)
    }

    /// The bytes of a file, as Hadoop's own shell reads them.
    pub(crate) fn cat(&self, name: &str) -> Result<Vec<u8>> {
        self.cluster.cat(&format!("{}/{name}", self.home))
    }

    /// Everything in the test's directory, hidden names too, as Hadoop's own shell lists it.
    pub(crate) fn list(&self) -> Result<String> {
        self.run(&["fs", "-ls", "-R", &self.home])
    }

    /// A local copy of an output, read with Hadoop's own shell, which compares checksums.
    pub(crate) fn copy(&self, name: &str) -> Result<PathBuf> {
        let copy = tempfile::tempdir_in(self.local.path())?.keep();
        let (from, to) = (format!("{}/{name}", self.home), copy.to_string_lossy().into_owned());
        self.run(&["fs", "-get", &from, &to])?;
        Ok(copy.join(name))
    }

    /// The rows of a committed output, read back with Hadoop's own shell.
    pub(crate) fn rows(&self, name: &str) -> Result<Rows> {
        let output = self.copy(name)?;
        ensure!(output.join("_SUCCESS").is_file(), "{name} has no _SUCCESS: {}", self.list()?);
        read_parquet_dir(&output)
    }

    /// An output is committed with these rows, and nothing is left of its staging.
    pub(crate) fn check_output(&self, name: &str, expected: &Rows) -> Result<()> {
        self.rows(name)?.check_equal(expected).with_context(|| format!("compare {name}"))?;
        self.check_no_staging()
    }

    /// Names in a directory of the test's, sorted, as the NameNode's own web service lists them; `None` where there is no such
    /// directory.
    pub(crate) fn names(&self, name: &str) -> Result<Option<Vec<String>>> {
        list_names(self.cluster.http(), &format!("{}/{name}", self.home))
    }

    /// The output `out` holds files of this job, and the job's staging is gone.
    pub(crate) fn is_published(&self, job: &str) -> Result<bool> {
        let is_there = self.names("out")?.unwrap_or_default().iter().any(|name| name.contains(job));
        Ok(is_there && self.staging(job)?.is_none())
    }

    /// The staging directory of a job, if it has one: its name changes when the commit begins.
    fn staging(&self, job: &str) -> Result<Option<String>> {
        let names = self.names(".hearth-staging")?.unwrap_or_default();
        Ok(names.into_iter().find(|name| name.starts_with(job)).map(|name| format!(".hearth-staging/{name}")))
    }

    /// Names in the directory in which a job's commit gathers its files.
    pub(crate) fn gathered(&self, job: &str) -> Result<Vec<String>> {
        let Some(staging) = self.staging(job)? else { return Ok(Vec::new()) };
        Ok(self.names(&format!("{staging}/data"))?.unwrap_or_default())
    }

    /// `host:port` of the NameNode.
    pub(crate) fn authority(&self) -> &str {
        self.cluster.url().trim_start_matches("hdfs://")
    }

    /// Removes a directory of the test's, with Hadoop's own shell.
    pub(crate) fn remove(&self, name: &str) -> Result<()> {
        self.run(&["fs", "-rm", "-r", &format!("{}/{name}", self.home)]).map(drop)
    }

    /// Lists a directory of the test's in a loop, as readers of an output do.
    pub(crate) fn watch(&self, name: &str) -> Watcher {
        let (http, path) = (self.cluster.http().to_owned(), format!("{}/{name}", self.home));
        let (stop, stopped) = mpsc::channel::<()>();
        let looking = std::thread::spawn(move || {
            let mut seen = BTreeSet::new();
            while stopped.try_recv() == Err(TryRecvError::Empty) {
                seen.insert(list_names(&http, &path)?);
            }
            Ok(seen)
        });
        Watcher { stop, looking }
    }

    /// Nothing is left of any staging directory.
    pub(crate) fn check_no_staging(&self) -> Result<()> {
        let is_gone = || matches!(self.names(".hearth-staging"), Ok(None));
        until(Duration::from_secs(30), "the staging directory going", is_gone)
            .with_context(|| format!("{:?}", self.list()))
    }
}

/// Lists a directory until it is told to stop.
pub(crate) struct Watcher {
    stop: mpsc::Sender<()>,
    looking: JoinHandle<Result<BTreeSet<Option<Vec<String>>>>>,
}

impl Watcher {
    /// Every listing that differs from the others; `None` where the directory was not there.
    pub(crate) fn seen(self) -> Result<BTreeSet<Option<Vec<String>>>> {
        drop(self.stop);
        self.looking.join().map_err(|_| anyhow::anyhow!("the watcher panicked"))?
    }
}

fn list_names(http: &str, path: &str) -> Result<Option<Vec<String>>> {
    let answer = http_get(http, &format!("/webhdfs/v1{path}?op=LISTSTATUS"))?;
    if answer.status == 404 {
        return Ok(None);
    }
    let listed = answer.json()?;
    let entries = listed["FileStatuses"]["FileStatus"].as_array().with_context(|| answer.body.clone())?;
    let mut names: Vec<String> =
        entries.iter().map(|entry| entry["pathSuffix"].as_str().unwrap_or_default().to_owned()).collect();
    names.sort_unstable();
    Ok(Some(names))
}

fn write_all(files: &[(&str, &str)]) -> Result<tempfile::TempDir> {
    let directory = tempfile::tempdir()?;
    for (name, text) in files {
        let path = directory.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap_or(directory.path()))?;
        std::fs::write(path, text)?;
    }
    Ok(directory)
}
