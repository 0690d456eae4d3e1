//! One connection to the master: messages in and out, checked, with a deadline on every wait.

use std::time::Duration;

use hearth_proto::convert::NotActive;
use hearth_proto::convert::control::{CONTROL_MESSAGE_BYTES_MAX, Hello, MasterMessage, WorkerMessage};
use hearth_proto::wire;
use hearth_proto::wire::control_service_client::ControlServiceClient;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Endpoint;
use tonic::{Status, Streaming};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// Longest wait for the answer to hello.
pub(super) const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);
/// Longest wait for room to send; a master that takes nothing for so long is not there.
const SEND_TIMEOUT: Duration = Duration::from_secs(5);
/// Messages that wait for the network.
const MESSAGES_AHEAD: usize = 64;

/// Why there is no connection.
pub(super) enum NotOpened {
    /// What is wrong, for people.
    Broken(String),
    /// Somebody answers, and is not the active master.
    Standby(NotActive),
}

impl From<String> for NotOpened {
    fn from(problem: String) -> Self {
        Self::Broken(problem)
    }
}

pub(super) struct Connection {
    outgoing: mpsc::Sender<wire::FromWorker>,
    incoming: Streaming<wire::FromMaster>,
}

impl Connection {
    /// Dials, says hello and waits for the answer, for so long at most.
    pub(super) async fn open(
        master: &str,
        hello: Hello,
        patience: Duration,
    ) -> Result<(Self, MasterMessage), NotOpened> {
        let endpoint = Endpoint::from_shared(format!("http://{master}")).map_err(|error| error.to_string())?;
        let channel = endpoint
            .connect_timeout(CONNECT_TIMEOUT)
            .tcp_nodelay(true)
            .http2_keep_alive_interval(Duration::from_secs(5))
            .keep_alive_timeout(Duration::from_secs(5))
            .keep_alive_while_idle(true);
        let channel = timeout(CONNECT_TIMEOUT + CONNECT_TIMEOUT, channel.connect())
            .await
            .map_err(|_| "connecting takes too long".to_owned())?
            .map_err(|error| with_sources(&error))?;
        let mut client = ControlServiceClient::new(channel)
            .max_decoding_message_size(CONTROL_MESSAGE_BYTES_MAX)
            .max_encoding_message_size(CONTROL_MESSAGE_BYTES_MAX);
        let (outgoing, messages) = mpsc::channel(MESSAGES_AHEAD);
        if outgoing.try_send(WorkerMessage::Hello(hello).into()).is_err() {
            return Err("cannot send the hello".to_owned().into());
        }
        let opened = timeout(patience, client.attach(ReceiverStream::new(messages))).await;
        let incoming = opened.map_err(|_| "the master does not answer".to_owned())?.map_err(refusal)?.into_inner();
        let mut connection = Self { outgoing, incoming };
        let answer = timeout(patience, connection.next()).await;
        let answer = answer.map_err(|_| "the master does not answer the hello".to_owned())??;
        Ok((connection, answer))
    }

    /// The next message. Waits as long as the connection lives: its keepalive notices when the master is gone.
    pub(super) async fn next(&mut self) -> Result<MasterMessage, String> {
        let message = self.incoming.message().await.map_err(|status| status.message().to_owned())?;
        let message = message.ok_or("the master closed the stream")?;
        MasterMessage::try_from(message).map_err(|error| error.to_string())
    }

    /// Sends a message. `false`: the connection is of no use any more.
    pub(super) async fn send(&self, message: WorkerMessage) -> bool {
        matches!(timeout(SEND_TIMEOUT, self.outgoing.send(message.into())).await, Ok(Ok(())))
    }

    /// Sends a last message, and waits until the master has closed its side.
    pub(super) async fn close(&mut self, message: WorkerMessage) {
        if !self.send(message).await {
            return;
        }
        let (closed, _) = mpsc::channel(1);
        drop(std::mem::replace(&mut self.outgoing, closed));
        while self.next().await.is_ok() {}
    }
}

fn refusal(status: Status) -> NotOpened {
    match NotActive::of(&status) {
        Some(told) => NotOpened::Standby(told),
        None => NotOpened::Broken(format!("{}: {}", status.code().description(), status.message())),
    }
}

fn with_sources(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        text = format!("{text}: {inner}");
        source = inner.source();
    }
    text
}
