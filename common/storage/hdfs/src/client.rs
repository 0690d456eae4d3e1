//! One connection per process and cluster, and the one way to call a NameNode: counted, with a deadline, repeated where that is safe.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hdfs_native::{Client, ClientBuilder};
use tokio::runtime::{Builder, Handle, Runtime};

use crate::counters::{Counters, CountersSnapshot, add};
use crate::deadline::{NoOutcome, within};
use crate::error::Action;
use crate::hadoop_conf::{HadoopConf, NameNodes};
use crate::locations::Locator;
use crate::short_circuit::ShortCircuit;
use crate::{HdfsError, HdfsSettings, HdfsUrl, Waits};

/// Every cluster that this process talks to, and the threads on which its bytes move.
#[derive(Debug, Clone)]
pub struct Clusters {
    inner: Arc<ClustersInner>,
}

#[derive(Debug)]
struct ClustersInner {
    settings: Arc<HdfsSettings>,
    conf: Arc<HadoopConf>,
    threads: Arc<Threads>,
    open: Mutex<BTreeMap<String, Hdfs>>,
}

/// The client spawns tasks that must outlive whoever called first, so they have threads of their own.
#[derive(Debug)]
struct Threads(Option<Runtime>);

impl Drop for Threads {
    fn drop(&mut self) {
        // An ordinary drop waits, which is not allowed on an async thread.
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

/// One cluster. Cheap to clone; all clones share one connection.
#[derive(Debug, Clone)]
pub struct Hdfs {
    inner: Arc<HdfsInner>,
    waits: Waits,
}

#[derive(Debug)]
struct HdfsInner {
    authority: String,
    nodes: NameNodes,
    settings: Arc<HdfsSettings>,
    conf: Arc<HadoopConf>,
    threads: Arc<Threads>,
    handle: Handle,
    counters: Counters,
    connection: Mutex<Connection>,
    locator: Locator,
    short_circuit: ShortCircuit,
}

/// A client, and how many were there before it.
#[derive(Debug, Clone)]
struct Connection {
    client: Client,
    number: usize,
}

impl Clusters {
    /// Reads Hadoop's configuration. Nothing is connected yet.
    ///
    /// # Errors
    /// [`HdfsError::Configuration`].
    pub fn new(settings: HdfsSettings) -> Result<Self, HdfsError> {
        let bad = |problem: String| HdfsError::Configuration { problem };
        settings.validate().map_err(|error| bad(error.to_string()))?;
        let conf = HadoopConf::load(&settings)?;
        let runtime = Builder::new_multi_thread().worker_threads(2).thread_name("hearth-hdfs").enable_all().build();
        let runtime = runtime.map_err(|error| bad(format!("no threads for it: {error}")))?;
        Ok(Self {
            inner: Arc::new(ClustersInner {
                settings: Arc::new(settings),
                conf: Arc::new(conf),
                threads: Arc::new(Threads(Some(runtime))),
                open: Mutex::default(),
            }),
        })
    }

    /// The cluster that a URL is in.
    ///
    /// # Errors
    /// [`HdfsError::Configuration`].
    pub fn at(&self, url: &HdfsUrl) -> Result<Hdfs, HdfsError> {
        let authority = match url.authority() {
            "" => self.inner.conf.default_authority()?,
            named => named.to_owned(),
        };
        let mut open = lock(&self.inner.open);
        if let Some(hdfs) = open.get(&authority) {
            return Ok(hdfs.clone());
        }
        let hdfs = Hdfs::new(&self.inner, &authority)?;
        open.insert(authority, hdfs.clone());
        Ok(hdfs)
    }

    /// What was asked of all of them so far.
    #[must_use]
    pub fn counts(&self) -> CountersSnapshot {
        let open = lock(&self.inner.open);
        open.values().fold(CountersSnapshot::default(), |sum, hdfs| sum.plus(hdfs.counters().snapshot()))
    }

    /// The settings that all of them are used with.
    #[must_use]
    pub fn settings(&self) -> &HdfsSettings {
        &self.inner.settings
    }
}

impl Hdfs {
    fn new(clusters: &ClustersInner, authority: &str) -> Result<Self, HdfsError> {
        let nodes = clusters.conf.name_nodes(authority)?;
        let (settings, conf, threads) =
            (Arc::clone(&clusters.settings), Arc::clone(&clusters.conf), Arc::clone(&clusters.threads));
        let Some(handle) = threads.0.as_ref().map(|runtime| runtime.handle().clone()) else {
            return Err(HdfsError::Configuration { problem: "the threads for it ended".to_owned() });
        };
        let client = build_client(&settings, &conf, &nodes, (0, &handle))?;
        let user = user_without_kerberos(&settings);
        let locator = Locator::new(user.clone(), &conf, nodes.addresses.clone());
        let short_circuit = ShortCircuit::new(is_short_circuit_on(&settings, &conf), user);
        let connection = Mutex::new(Connection { client, number: 0 });
        let counters = Counters::default();
        let authority = authority.to_owned();
        let inner = HdfsInner {
            authority,
            nodes,
            settings,
            conf,
            threads,
            handle,
            counters,
            connection,
            locator,
            short_circuit,
        };
        Ok(Self { inner: Arc::new(inner), waits: Waits::default() })
    }

    /// The same cluster over the same connection, for work that tells why it waits.
    #[must_use]
    pub fn telling(&self, waits: Waits) -> Self {
        Self { inner: Arc::clone(&self.inner), waits }
    }

    pub(crate) fn waits(&self) -> &Waits {
        &self.waits
    }

    /// The URL of a path of this cluster.
    ///
    /// # Errors
    /// [`HdfsError::Location`].
    pub fn url(&self, path: &str) -> Result<HdfsUrl, HdfsError> {
        HdfsUrl::parse(&format!("hdfs://{}/", self.inner.authority))?.with_path(path)
    }

    /// Host, host and port, or name service.
    #[must_use]
    pub fn authority(&self) -> &str {
        &self.inner.authority
    }

    /// What was asked of this cluster so far.
    #[must_use]
    pub fn counters(&self) -> &Counters {
        &self.inner.counters
    }

    /// The settings it is used with.
    #[must_use]
    pub fn settings(&self) -> &HdfsSettings {
        &self.inner.settings
    }

    pub(crate) fn conf(&self) -> &HadoopConf {
        &self.inner.conf
    }

    pub(crate) fn locator(&self) -> &Locator {
        &self.inner.locator
    }

    pub(crate) fn short_circuit(&self) -> &ShortCircuit {
        &self.inner.short_circuit
    }

    /// Runs a task on the threads for HDFS. They live as long as this handle.
    pub fn spawn<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> tokio::task::JoinHandle<T> {
        let _alive = &self.inner.threads;
        self.inner.handle.spawn(work)
    }

    /// Asks a NameNode once. For requests that change something: whether to repeat them is the caller's decision.
    pub(crate) async fn ask_once<T, F>(
        &self,
        action: Action<'_>,
        request: impl FnOnce(Client) -> F,
    ) -> Result<T, HdfsError>
    where
        F: Future<Output = hdfs_native::Result<T>>,
    {
        let limit = self.inner.settings.rpc_timeout;
        let connection = lock(&self.inner.connection).clone();
        let counters = self.counters();
        add(&counters.namenode_calls, 1);
        let answer = within(limit, request(connection.client)).await;
        if !matches!(answer, Ok(Ok(_))) {
            add(&counters.namenode_errors, 1);
        }
        match answer {
            Ok(answer) => answer.map_err(|error| action.classify(error)),
            Err(NoOutcome::TooLate) => {
                add(&counters.namenode_timeouts, 1);
                self.reconnect(connection.number);
                Err(action.timed_out(limit))
            }
            Err(NoOutcome::Panicked) => Err(action.refused("the HDFS client failed; its message is in the log")),
        }
    }

    /// Asks a NameNode, again if it is not reached. Only for requests that change nothing, or nothing more when they are repeated.
    pub(crate) async fn ask<T, F>(&self, action: Action<'_>, request: impl Fn(Client) -> F) -> Result<T, HdfsError>
    where
        F: Future<Output = hdfs_native::Result<T>>,
    {
        let mut tries = 0;
        loop {
            tries += 1;
            match self.ask_once(action, &request).await {
                Err(error @ HdfsError::Unreachable { .. }) if tries < self.settings().rpc_tries => {
                    tracing::debug!(%error, tries, "asking the NameNode again");
                    self.pause(tries).await;
                }
                outcome => return outcome,
            }
        }
    }

    /// Waits before try `tries + 1`.
    pub(crate) async fn pause(&self, tries: u32) {
        tokio::time::sleep(self.settings().call_backoff().delay_after(tries)).await;
    }

    /// The client of the moment, for what outlives one call, and the number of its connection.
    pub(crate) fn client(&self) -> (Client, usize) {
        let connection = lock(&self.inner.connection);
        (connection.client.clone(), connection.number)
    }

    /// Replaces a connection on which an answer did not come. The client itself never gives one up: behind it may be a host that
    /// lost its power, or an active NameNode that hangs while another has taken over. The next one begins with another member.
    pub(crate) fn reconnect(&self, number: usize) {
        let mut connection = lock(&self.inner.connection);
        if connection.number != number {
            return;
        }
        let inner = &self.inner;
        match build_client(&inner.settings, &inner.conf, &inner.nodes, (number + 1, &inner.handle)) {
            Ok(client) => *connection = Connection { client, number: number + 1 },
            Err(error) => tracing::warn!(%error, "could not make a new connection to HDFS"),
        }
        drop(connection);
        add(&inner.counters.reconnects, 1);
        tracing::debug!(authority = %inner.authority, "an answer did not come in time; using a new connection");
    }
}

fn user_without_kerberos(settings: &HdfsSettings) -> String {
    let named = settings.user.clone().or_else(|| std::env::var("HADOOP_USER_NAME").ok());
    named.or_else(|| whoami::username().ok()).unwrap_or_default()
}

/// What a `DataNode` asks of us on a cluster with Kerberos is not known here.
fn is_short_circuit_on(settings: &HdfsSettings, conf: &HadoopConf) -> bool {
    let is_true = |name: &str| conf.get(name).is_some_and(|value| value.eq_ignore_ascii_case("true"));
    let by_hadoop = || is_true("dfs.client.read.shortcircuit") && is_true("dfs.client.use.legacy.blockreader.local");
    !conf.is_secure() && settings.short_circuit.unwrap_or_else(by_hadoop)
}

fn build_client(
    settings: &HdfsSettings,
    conf: &HadoopConf,
    nodes: &NameNodes,
    (first, handle): (usize, &Handle),
) -> Result<Client, HdfsError> {
    let mut properties = conf.for_client(nodes, first);
    let mut set = |name: &str, value: String| properties.insert(name.to_owned(), value);
    set("dfs.client.socket-timeout", settings.io_timeout.as_millis().to_string());
    // Short: how long to go on is decided here. It must come by each member of an HA pair more than once.
    let members = nodes.addresses.len();
    set("dfs.client.failover.max.attempts", (if members > 1 { 4 * members } else { 2 }).to_string());
    set("dfs.client.failover.sleep.base.millis", "200".to_owned());
    set("dfs.client.failover.sleep.max.millis", Duration::from_secs(1).as_millis().to_string());
    let mut builder = ClientBuilder::new()
        .with_url(format!("hdfs://{}", nodes.authority))
        .with_config(properties)
        .with_io_runtime(handle.clone());
    if let Some(user) = &settings.user {
        builder = builder.with_user(user);
    }
    if let Some(principal) = &settings.principal {
        builder = builder.with_kerberos_principal(principal);
    }
    if let Some(keytab) = &settings.keytab {
        builder = builder.with_kerberos_keytab(keytab);
    }
    builder.build().map_err(|error| HdfsError::Configuration { problem: error.to_string() })
}

/// A lock whose holder panicked guards nothing that could be half changed here.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
