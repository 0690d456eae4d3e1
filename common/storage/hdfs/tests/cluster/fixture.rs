//! One cluster for all tests of this binary; they take turns, because some of them break it.

use std::future::Future;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use hearth_hdfs::{Clusters, Content, Hdfs, HdfsError, HdfsSettings, HdfsUrl, Upload};
use hearth_test_hdfs::{Cluster, Shape};

/// No test may take longer.
const TEST_LIMIT: Duration = Duration::from_secs(150);

static BROKEN: AtomicBool = AtomicBool::new(false);

/// A cluster, and a directory of it that is the test's own.
pub(crate) struct Fixture {
    pub(crate) cluster: &'static Cluster,
    pub(crate) clusters: Clusters,
    pub(crate) hdfs: Hdfs,
    pub(crate) home: HdfsUrl,
}

/// Timeouts so short that a hung server is met within a test.
pub(crate) fn settings(cluster: &Cluster) -> HdfsSettings {
    HdfsSettings {
        conf_dir: Some(cluster.conf_dir()),
        rpc_timeout: Duration::from_secs(2),
        io_timeout: Duration::from_secs(2),
        wait_for_namenode: Duration::from_secs(60),
        wait_for_datanodes: Duration::from_secs(60),
        ..HdfsSettings::default()
    }
}

/// Runs a test that leaves the cluster as it found it.
pub(crate) fn check<F: Future<Output = ()>>(name: &str, test: impl FnOnce(Fixture) -> F) {
    run(name, test);
}

/// Runs a test that breaks the cluster. The next one heals it.
pub(crate) fn check_breaking<F: Future<Output = ()>>(name: &str, test: impl FnOnce(Fixture) -> F) {
    run(name, |fixture| {
        BROKEN.store(true, Ordering::SeqCst);
        test(fixture)
    });
}

fn run<F: Future<Output = ()>>(name: &str, test: impl FnOnce(Fixture) -> F) {
    static TURN: Mutex<()> = Mutex::new(());
    static CLUSTER: OnceLock<Cluster> = OnceLock::new();
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let cluster = CLUSTER.get_or_init(|| Cluster::start(Shape::Single).unwrap());
    if BROKEN.swap(false, Ordering::SeqCst) {
        cluster.heal().unwrap();
    }
    let clusters = Clusters::new(settings(cluster)).unwrap();
    let home = HdfsUrl::parse(&format!("{}/{name}", cluster.url())).unwrap();
    let hdfs = clusters.at(&home).unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        hdfs.make_directories(&home).await.unwrap();
        let fixture = Fixture { cluster, clusters, hdfs, home };
        tokio::time::timeout(TEST_LIMIT, test(fixture)).await.expect("every wait ends");
    });
}

impl Fixture {
    pub(crate) fn at(&self, name: &str) -> HdfsUrl {
        self.home.join(name).unwrap()
    }

    /// Another process' view of the cluster, with other settings.
    pub(crate) fn with(&self, change: impl FnOnce(&mut HdfsSettings)) -> Hdfs {
        let mut settings = settings(self.cluster);
        change(&mut settings);
        Clusters::new(settings).unwrap().at(&self.home).unwrap()
    }

    pub(crate) async fn write(&self, name: &str, content: &Bytes) -> HdfsUrl {
        let url = self.at(name);
        self.hdfs.upload(&url, &Upload::new(Content::Bytes(content.clone()))).await.unwrap();
        url
    }

    pub(crate) async fn read(&self, url: &HdfsUrl) -> Bytes {
        self.hdfs.read_small(url, u64::MAX).await.unwrap().expect("the file is there")
    }

    /// Runs a verb of the cluster's script while the test goes on.
    pub(crate) async fn run(&self, verb: &'static [&'static str]) {
        let cluster = self.cluster;
        tokio::task::spawn_blocking(move || cluster.run(verb).unwrap()).await.unwrap();
    }

    /// Names below the test's directory, hidden ones too.
    pub(crate) async fn names(&self) -> Vec<String> {
        let entries = self.hdfs.list_all(&self.home, hearth_hdfs::Depth::All, 10_000).await.unwrap();
        let below = self.home.path().len() + 1;
        let mut names: Vec<String> = entries.into_iter().map(|entry| entry.path[below..].to_owned()).collect();
        names.sort();
        names
    }
}

/// Bytes that differ everywhere, so that a misplaced block is seen.
pub(crate) fn pattern(length: usize) -> Bytes {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(length);
    bytes.into()
}

pub(crate) fn name_of<T: std::fmt::Debug>(outcome: Result<T, HdfsError>) -> &'static str {
    outcome.expect_err("it fails").name()
}
