//! `DataNode`s that die or hang, before, while and after a file is written or read.

#![expect(clippy::print_stdout, reason = "figures for whoever runs it with --nocapture")]

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use hearth_hdfs::{Content, HdfsFile, Upload, Uploaded};

use crate::fixture::{Fixture, check_breaking, name_of, pattern};

const LIMIT: Duration = Duration::from_secs(60);

/// Writes 24 MiB while a verb of the script strikes when 8 MiB are sent.
async fn write_while(f: &Fixture, strike: &'static [&'static str]) -> Uploaded {
    let (content, struck) = (pattern(24 << 20), AtomicU32::new(0));
    let progress = |bytes: u64| {
        if bytes > 8 << 20 && struck.fetch_add(1, Ordering::SeqCst) == 0 {
            f.cluster.run(strike).unwrap();
        }
    };
    let begun = Instant::now();
    let upload = Upload { progress: &progress, ..Upload::new(Content::Bytes(content.clone())) };
    let uploaded = f.hdfs.upload(&f.at("a"), &upload).await.unwrap();
    assert!(begun.elapsed() < LIMIT, "{:?}", begun.elapsed());
    println!("24 MiB through `{}`: {} tries, {} ms", strike.join(" "), uploaded.tries, begun.elapsed().as_millis());
    assert_eq!(f.read(&f.at("a")).await, content);
    assert_eq!(f.hdfs.stat(&f.at("a")).await.unwrap().replication, 2, "raised again");
    assert!(f.hdfs.counters().snapshot().uploads_with_one_replica >= 1, "two replicas were not to be had");
    assert_eq!(f.names().await, ["a"]);
    assert_eq!(f.cluster.cat(f.at("a").path()).unwrap(), content);
    uploaded
}

#[test]
fn a_data_node_is_killed_while_a_file_is_written() {
    check_breaking("killed writing", |f| async move {
        write_while(&f, &["kill-dn", "1"]).await;
        // It is dead, and still listed: this is the worst time to write.
        for name in ["b", "c", "d", "e"] {
            let begun = Instant::now();
            let uploaded = f.hdfs.upload(&f.at(name), &Upload::new(Content::Bytes(pattern(3 << 20)))).await.unwrap();
            println!("3 MiB with a dead DataNode: {} tries, {} ms", uploaded.tries, begun.elapsed().as_millis());
            assert_eq!(f.read(&f.at(name)).await, pattern(3 << 20));
        }
    });
}

#[test]
fn a_data_node_hangs_while_a_file_is_written() {
    check_breaking("hung writing", |f| async move {
        write_while(&f, &["hang-dn", "2"]).await;
        let begun = Instant::now();
        let uploaded = f.hdfs.upload(&f.at("b"), &Upload::new(Content::Bytes(pattern(3 << 20)))).await.unwrap();
        println!("3 MiB with a hung DataNode: {} tries, {} ms", uploaded.tries, begun.elapsed().as_millis());
        assert_eq!(f.read(&f.at("b")).await, pattern(3 << 20));
    });
}

#[test]
fn a_file_ends_in_time_though_its_last_bytes_hang() {
    check_breaking("hung closing", |f| async move {
        let new = hearth_hdfs::NewFile::in_existing_directory();
        let mut closing = f.hdfs.create(&f.at("a"), new).await.unwrap();
        let mut writing = f.hdfs.create(&f.at("c"), new).await.unwrap();
        closing.write(pattern(1000)).await.unwrap();
        writing.write(pattern(1000)).await.unwrap();
        f.run(&["hang-dn", "1"]).await;
        f.run(&["hang-dn", "2"]).await;
        let begun = Instant::now();
        assert_eq!(name_of(closing.close().await), "data_nodes");
        assert_eq!(name_of(writing.write(pattern(40 << 20)).await), "data_nodes");
        assert_eq!(name_of(writing.write(pattern(1)).await), "refused");
        assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
        let hopeless = f.with(|settings| settings.wait_for_datanodes = Duration::from_secs(5));
        let upload = Upload::new(Content::Bytes(pattern(1000)));
        assert_eq!(name_of(hopeless.upload(&f.at("b"), &upload).await), "data_nodes");
        assert!(begun.elapsed() < LIMIT, "{:?}", begun.elapsed());
    });
}

/// Reads a file of many blocks while a verb of the script strikes after the first bytes.
async fn read_while(f: &Fixture, strike: &'static [&'static str]) {
    let content = pattern(16 << 20);
    let url = f.write("a", &content).await;
    let begun = Instant::now();
    let hdfs = f.with(|settings| settings.read_ahead = hearth_common::ByteSize(128 << 10));
    let mut stream = HdfsFile::open(&hdfs, &url).await.unwrap().stream(0..16 << 20).unwrap();
    let mut whole = stream.next().await.unwrap().unwrap().to_vec();
    f.run(strike).await;
    while let Some(chunk) = stream.next().await.unwrap() {
        whole.extend_from_slice(&chunk);
    }
    assert!(whole == content && begun.elapsed() < LIMIT, "{:?}", begun.elapsed());
    assert_eq!(f.read(&url).await, content);
    println!("16 MiB read through `{}`: {} ms", strike.join(" "), begun.elapsed().as_millis());
}

#[test]
fn a_data_node_is_killed_while_a_file_is_read() {
    check_breaking("killed reading", |f| async move { read_while(&f, &["kill-dn", "1"]).await });
}

#[test]
fn a_data_node_hangs_while_a_file_is_read() {
    check_breaking("hung reading", |f| async move { read_while(&f, &["hang-dn", "2"]).await });
}

#[test]
fn an_open_file_finds_the_replicas_of_now() {
    check_breaking("moved", |f| async move {
        let content = pattern(2 << 20);
        let upload = Upload { replication: Some(1), ..Upload::new(Content::Bytes(content.clone())) };
        f.hdfs.upload(&f.at("a"), &upload).await.unwrap();
        let file = HdfsFile::open(&f.hdfs, &f.at("a")).await.unwrap();
        // The file gets a second replica, and the DataNode that had the first one dies.
        f.hdfs.set_replication(&f.at("a"), 2).await.unwrap();
        let first = f.hdfs.block_locations(&f.at("a"), 0..1).await.remove(0).replicas.remove(0).host;
        let both = async {
            let all = |blocks: &[hearth_hdfs::BlockLocation]| blocks.iter().all(|block| block.replicas.len() == 2);
            while !all(&f.hdfs.block_locations(&f.at("a"), 0..2 << 20).await) {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(30), both).await.unwrap();
        f.run(if first == "worker1" { &["kill-dn", "1"] } else { &["kill-dn", "2"] }).await;
        assert_eq!(file.read_range(0..2 << 20).await.unwrap(), content);
    });
}

#[test]
fn the_only_replica_is_gone() {
    check_breaking("gone", |f| async move {
        let upload = Upload { replication: Some(1), ..Upload::new(Content::Bytes(pattern(100))) };
        f.hdfs.upload(&f.at("a"), &upload).await.unwrap();
        let block = f.hdfs.block_locations(&f.at("a"), 0..100).await.remove(0);
        let host = block.replicas[0].host.clone();
        f.run(if host == "worker1" { &["kill-dn", "1"] } else { &["kill-dn", "2"] }).await;
        let begun = Instant::now();
        let error = f.hdfs.read_small(&f.at("a"), 100).await.unwrap_err();
        let (name, text) = (error.name(), error.to_string());
        let block = format!("blk_{}", block.block);
        assert!(name == "data_nodes" && text.contains(&block) && text.contains(&host), "{text}");
        // Soon the NameNode knows it too.
        f.run(&["wait-dead", "1"]).await;
        let text = loop {
            let error = f.hdfs.read_small(&f.at("a"), 100).await.unwrap_err();
            if error.name() == "block" {
                break error.to_string();
            }
        };
        assert!(text.contains(&block) && text.contains("/gone/a"), "{text}");
        assert!(begun.elapsed() < LIMIT, "{:?}", begun.elapsed());
    });
}
