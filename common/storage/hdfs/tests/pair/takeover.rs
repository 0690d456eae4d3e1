//! An HA pair whose active `NameNode` dies, or hangs while the other one has taken over.

#![expect(clippy::print_stdout, reason = "figures for whoever runs it with --nocapture")]

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use hearth_hdfs::{Clusters, Content, Depth, Hdfs, HdfsSettings, HdfsUrl, Overwrite, Upload};
use hearth_test_hdfs::{Cluster, Shape};

fn open(cluster: &Cluster) -> (Hdfs, HdfsUrl) {
    let settings = HdfsSettings {
        conf_dir: Some(cluster.conf_dir()),
        rpc_timeout: Duration::from_secs(2),
        io_timeout: Duration::from_secs(2),
        wait_for_namenode: Duration::from_secs(60),
        wait_for_datanodes: Duration::from_secs(60),
        ..HdfsSettings::default()
    };
    let home = HdfsUrl::parse(&format!("{}/home", cluster.url())).unwrap();
    (Clusters::new(settings).unwrap().at(&home).unwrap(), home)
}

/// Ten files are written, renamed and looked at. Before the fifth a verb strikes the active `NameNode`; when somebody waits for HDFS, or
/// at once, the other one becomes active.
async fn work_through(cluster: &Cluster, strike: &[&str], takes_over: &str) {
    let (hdfs, home) = open(cluster);
    hdfs.wait_quietly(|| hdfs.make_directories(&home)).await.unwrap();
    let over = AtomicU32::new(0);
    let take_over = || {
        if over.fetch_add(1, Ordering::SeqCst) == 0 {
            cluster.run(&["transition", takes_over]).unwrap();
        }
    };
    let begun = Instant::now();
    for number in 0..10_u8 {
        if number == 5 {
            cluster.run(strike).unwrap();
        }
        let content = Bytes::from(vec![number; 200_000]);
        let (part, file) = (home.join(&format!("part{number}")).unwrap(), home.join(&format!("file{number}")).unwrap());
        let notice = |_: &hearth_hdfs::Waiting<'_>| take_over();
        let upload = Upload { notice: &notice, ..Upload::new(Content::Bytes(content.clone())) };
        hdfs.upload(&part, &upload).await.unwrap();
        hdfs.rename(&part, &file, Overwrite::Never).await.unwrap();
        assert_eq!(hdfs.read_small(&file, 1 << 20).await.unwrap(), Some(content));
    }
    println!("ten files through `{}`: {} ms", strike.join(" "), begun.elapsed().as_millis());
    assert!(begun.elapsed() < Duration::from_secs(90) && over.into_inner() > 0);
    assert_eq!(hdfs.list_all(&home, Depth::All, 100).await.unwrap().len(), 10);
    assert_eq!(hdfs.block_locations(&home.join("file9").unwrap(), 0..1).await.len(), 1);
    hdfs.remove(&home, Depth::All).await.unwrap();
}

#[test]
fn another_name_node_takes_over() {
    let cluster = Cluster::start(Shape::Pair).unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        work_through(&cluster, &["kill-nn", "1"], "2").await;
        cluster.run(&["start-nn", "1"]).unwrap();
        cluster.run(&["wait"]).unwrap();
        // A hung NameNode answers no connection, and its own host goes on acknowledging what is sent to it.
        work_through(&cluster, &["hang-nn", "2"], "1").await;
    });
}
