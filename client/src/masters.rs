//! The masters of a client: which one is active, and the newest epoch that was seen, behind which no answer is believed.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hearth_common::NewestEpoch;
use hearth_proto::convert::{NotActive, epoch_of};
use hearth_proto::wire::{self, job_service_client::JobServiceClient};
use tonic::metadata::MetadataMap;
use tonic::transport::{Channel, Endpoint};
use tonic::{IntoRequest, Status};

use crate::{ClientError, MasterList};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Longest wait for the answer to a call.
pub(crate) const CALL_TIMEOUT: Duration = Duration::from_secs(30);
/// A master that does not say so soon that it is active is not the first choice where there are others.
const ASK_TIMEOUT: Duration = Duration::from_secs(4);
/// How often an idle connection is tried, and how long a master that does not answer is believed in.
const KEEP_ALIVE: Duration = Duration::from_secs(5);
/// A listing of large jobs is larger than gRPC's default.
const ANSWER_BYTES_MAX: usize = 64 << 20;

/// Number of the next connection of this process.
static NEXT_LINK: AtomicU64 = AtomicU64::new(0);

/// The masters of a client and all its clones.
#[derive(Debug)]
pub(crate) struct Masters {
    /// `host:port` of each.
    addresses: Vec<String>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    link: Option<Link>,
    newest: NewestEpoch,
}

/// A connection to a master that was active when it was made.
#[derive(Debug, Clone)]
pub(crate) struct Link {
    pub(crate) service: JobServiceClient<Channel>,
    /// `host:port`.
    pub(crate) address: String,
    number: u64,
}

/// Why there is no link: nobody is active, or nobody answers.
#[derive(Debug)]
pub(crate) struct NotFound {
    pub(crate) error: ClientError,
    /// A standby answered: it may be active soon.
    pub(crate) has_standby: bool,
}

impl Masters {
    pub(crate) fn new(list: &MasterList) -> Self {
        Self { addresses: list.addresses(), state: Mutex::default() }
    }

    /// For people: the one in use, or all.
    pub(crate) fn address(&self) -> String {
        let state = self.state();
        state.link.as_ref().map_or_else(|| self.addresses.join(","), |link| link.address.clone())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The connection in use, or a new one to the first master that is active.
    pub(crate) async fn link(&self) -> Result<Link, NotFound> {
        if let Some(link) = self.state().link.clone() {
            return Ok(link);
        }
        let mut candidates = self.addresses.clone();
        let (mut at, mut has_standby, mut problems) = (0, false, Vec::new());
        while let Some(address) = candidates.get(at).cloned() {
            at += 1;
            match self.try_one(&address).await {
                Ok(link) => return Ok(self.keep(link)),
                Err(Refusal::Standby(told)) => {
                    has_standby = true;
                    // It may know one that nobody has listed.
                    candidates.extend(told.active.filter(|active| !candidates.contains(active)));
                    problems.push((address, "it is a standby".to_owned()));
                }
                Err(Refusal::Failed(reason)) => problems.push((address, reason)),
            }
        }
        Err(NotFound { error: no_master(problems), has_standby })
    }

    fn keep(&self, link: Link) -> Link {
        let mut state = self.state();
        // Clones that looked at the same time share what the first of them found.
        state.link.get_or_insert(link).clone()
    }

    async fn try_one(&self, address: &str) -> Result<Link, Refusal> {
        let endpoint = Endpoint::from_shared(format!("http://{address}")).map_err(|error| Refusal::failed(&error))?;
        let endpoint = endpoint
            .connect_timeout(CONNECT_TIMEOUT)
            .tcp_nodelay(true)
            .http2_keep_alive_interval(KEEP_ALIVE)
            .keep_alive_timeout(KEEP_ALIVE);
        let channel = endpoint.connect().await.map_err(|error| Refusal::failed(&error))?;
        let service = JobServiceClient::new(channel).max_decoding_message_size(ANSWER_BYTES_MAX);
        self.ask(service.clone()).await?;
        let number = NEXT_LINK.fetch_add(1, Ordering::Relaxed);
        Ok(Link { service, address: address.to_owned(), number })
    }

    /// Whether it is the active one.
    async fn ask(&self, mut service: JobServiceClient<Channel>) -> Result<(), Refusal> {
        let patience = if self.has_choice() { ASK_TIMEOUT } else { CALL_TIMEOUT };
        let asked = tokio::time::timeout(patience, service.get_master(wire::GetMasterRequest {}.into_request())).await;
        let answer = asked.map_err(|_| Refusal::Failed("it does not answer in time".to_owned()))?;
        let metadata = match &answer {
            Ok(answer) => answer.metadata(),
            Err(status) => match NotActive::of(status) {
                Some(told) => return Err(Refusal::Standby(told)),
                None => status.metadata(),
            },
        };
        self.check_epoch(metadata).map_err(Refusal::Failed)?;
        match answer.map_err(|status| ClientError::from_status("", &status)) {
            Err(ClientError::Unreachable { reason, .. }) => Err(Refusal::Failed(reason)),
            // Whatever is wrong there, the call itself tells it.
            Ok(_) | Err(_) => Ok(()),
        }
    }

    /// Refuses what a master tells that was succeeded by another one.
    fn check_epoch(&self, metadata: &MetadataMap) -> Result<(), String> {
        let Some(epoch) = epoch_of(metadata) else { return Ok(()) };
        self.state().newest.meet(epoch).map_err(|outdated| format!("it is {outdated}"))
    }

    /// Whether an answer may be believed. The connection to a master that was succeeded is given up.
    pub(crate) fn check_answer(&self, link: &Link, metadata: &MetadataMap) -> Result<(), ClientError> {
        self.check_epoch(metadata).map_err(|reason| {
            self.give_up(link);
            ClientError::Unreachable { address: link.address.clone(), reason }
        })
    }

    /// The meaning of a failed call. A connection that is of no use is given up, so that the next call looks for the active master.
    pub(crate) fn on_failure(&self, link: &Link, status: &Status) -> ClientError {
        if let Err(error) = self.check_answer(link, status.metadata()) {
            return error;
        }
        let error = ClientError::from_status(&link.address, status);
        // A connection mends itself, and a single master has nobody to go to; but a standby may know of one.
        if error.is_unreachable() && (self.has_choice() || NotActive::of(status).is_some()) {
            self.give_up(link);
        }
        error
    }

    /// There is another one to go to.
    pub(crate) fn has_choice(&self) -> bool {
        self.addresses.len() > 1
    }

    fn give_up(&self, link: &Link) {
        let mut state = self.state();
        if state.link.as_ref().is_some_and(|current| current.number == link.number) {
            state.link = None;
        }
    }
}

enum Refusal {
    Standby(NotActive),
    Failed(String),
}

impl Refusal {
    fn failed(error: &dyn std::error::Error) -> Self {
        Self::Failed(crate::error::deepest(error))
    }
}

fn no_master(mut problems: Vec<(String, String)>) -> ClientError {
    if problems.len() == 1
        && let Some((address, reason)) = problems.pop()
    {
        return ClientError::Unreachable { address, reason };
    }
    let addresses: Vec<_> = problems.iter().map(|(address, _)| address.as_str()).collect();
    let reasons: Vec<_> = problems.iter().map(|(address, reason)| format!("{address}: {reason}")).collect();
    ClientError::Unreachable { address: addresses.join(","), reason: reasons.join("; ") }
}
