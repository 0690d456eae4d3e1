//! Shuffle services that hang while their workers go on.

use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use hearth_common::Absence;

use super::*;

/// A shuffle service that hangs, though its process goes on: one that takes connections and answers nothing at all.
async fn silent_address() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        let mut kept = Vec::new();
        while let Ok((connection, _)) = listener.accept().await {
            kept.push(connection);
        }
    });
    address
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_that_hangs_is_waited_for_once_whatever_it_holds() {
    let patience =
        Patience { silence_max: Duration::from_secs(4), probe_max: Duration::from_millis(200), ..Patience::default() };
    let reader = Fixture::new().reader_with(patience);
    let (there, address) = (WorkerId::from_u128(9), silent_address().await);
    let began = Instant::now();
    check_loss(&reader, &input(&address, &[there; 8]), (OutputLoss::Unreached, "no bytes came")).await;
    assert!(began.elapsed() >= patience.silence_max, "a worker that has always answered gets its time");
    let began = Instant::now();
    for _ in 0..8 {
        check_loss(&reader, &input(&address, &[there; 8]), (OutputLoss::Unreached, "no bytes came")).await;
    }
    assert!(began.elapsed() < patience.silence_max, "each output has cost a wait: {:?}", began.elapsed());
    // Others are not doubted for it.
    let began = Instant::now();
    check_loss(&reader, &input(&silent_address().await, &[there]), (OutputLoss::Unreached, "no bytes came")).await;
    assert!(began.elapsed() >= patience.silence_max);
}

/// Begins to answer, sends nothing of what it was asked for, and gets over it.
#[derive(Clone, Default)]
struct Stuck(Arc<AtomicBool>);

#[tonic::async_trait]
impl hearth_proto::wire::shuffle_service_server::ShuffleService for Stuck {
    type FetchStream = futures::stream::BoxStream<'static, Result<hearth_proto::wire::FetchChunk, tonic::Status>>;

    async fn fetch(
        &self,
        _: tonic::Request<hearth_proto::wire::FetchRequest>,
    ) -> Result<tonic::Response<Self::FetchStream>, tonic::Status> {
        if !self.0.load(Ordering::Relaxed) {
            return Ok(tonic::Response::new(Box::pin(futures::stream::pending())));
        }
        let last = hearth_proto::wire::FetchChunk { data: Vec::new().into(), total_bytes: Some(0) };
        Ok(tonic::Response::new(Box::pin(futures::stream::iter([Ok(last)]))))
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_that_is_stuck_in_the_middle_is_not_reached_and_trusted_again_when_it_answers() {
    let patience = Patience {
        silence_max: Duration::from_millis(1500),
        probe_max: Duration::from_millis(200),
        ..Patience::default()
    };
    let reader = Fixture::new().reader_with(patience);
    let (stuck, listener) = (Stuck::default(), TcpListener::bind("127.0.0.1:0").await.unwrap());
    let address = listener.local_addr().unwrap().to_string();
    let service = hearth_proto::wire::shuffle_service_server::ShuffleServiceServer::new(stuck.clone());
    let incoming = tonic::transport::server::TcpIncoming::from(listener);
    tokio::spawn(tonic::transport::Server::builder().add_service(service).serve_with_incoming(incoming));
    let input = input(&address, &[WorkerId::from_u128(9)]);
    check_loss(&reader, &input, (OutputLoss::Unreached, "no bytes came")).await;
    stuck.0.store(true, Ordering::Relaxed);
    assert!(collect(&reader, &input).await.unwrap().is_empty());
    stuck.0.store(false, Ordering::Relaxed);
    let began = Instant::now();
    check_loss(&reader, &input, (OutputLoss::Unreached, "no bytes came")).await;
    assert!(began.elapsed() >= patience.silence_max, "it has its time again");
}

/// Reads from a service that hangs, and tells of its worker after a while; then reads again. Gives how long both waited after that.
async fn wait_after(absence: Absence, patience: Patience) -> Duration {
    let reader = Fixture::new().reader_with(patience);
    let (there, address) = (WorkerId::from_u128(9), silent_address().await);
    let fetcher = Arc::clone(&reader.fetcher);
    let told = tokio::spawn(async move {
        tokio::time::sleep(Duration::from_millis(300)).await;
        fetcher.note_absence(WorkerId::from_u128(8), Absence::Lost);
        fetcher.note_absence(WorkerId::from_u128(9), absence);
        Instant::now()
    });
    let problem = match absence {
        Absence::Silent => "the master hears nothing of it",
        Absence::Lost => "the master gave it up",
    };
    check_loss(&reader, &input(&address, &[there; 8]), (OutputLoss::Unreached, problem)).await;
    let told = told.await.unwrap();
    // Who begins to read later waits no longer either, whether for what the master told or for what the first one met.
    check_loss(&reader, &input(&address, &[there]), (OutputLoss::Unreached, "")).await;
    told.elapsed()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_that_the_master_misses_too_is_not_waited_for() {
    let long = Duration::from_secs(600);
    let patience =
        Patience { silence_max: long, probe_max: Duration::from_millis(500), lost_max: Duration::from_millis(100) };
    for absence in [Absence::Silent, Absence::Lost] {
        let waited = wait_after(absence, patience).await;
        assert!(waited < long / 10, "{absence:?}: waited for {waited:?}");
    }
}
