//! Blocks that are read from the files of `DataNode`s of this host, and what happens when they cannot be.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use bytes::Bytes;
use hearth_hdfs::{CountersSnapshot, Hdfs, HdfsFile, HdfsUrl};

use crate::fixture::{Fixture, check, check_breaking, pattern};

const BLOCK: usize = 1 << 20;
/// Blocks of both `DataNode`s are here, and either may be asked first; so what only one of them can do comes up within some tries.
const TRIES: usize = 60;

fn short_circuit(f: &Fixture) -> Hdfs {
    f.with(|settings| settings.short_circuit = Some(true))
}

async fn whole(file: &HdfsFile) -> Bytes {
    let mut stream = file.stream(0..file.bytes()).unwrap();
    let mut whole = Vec::new();
    while let Some(chunk) = stream.next().await.unwrap() {
        whole.extend_from_slice(&chunk);
    }
    whole.into()
}

async fn open_and_read(hdfs: &Hdfs, url: &HdfsUrl) -> Bytes {
    whole(&HdfsFile::open(hdfs, url).await.unwrap()).await
}

/// The files of a `DataNode` that hold the first block of a file, as its `find` names them.
async fn replica_files(f: &Fixture, url: &HdfsUrl, node: u32) -> Vec<PathBuf> {
    let block = f.hdfs.block_locations(url, 0..1).await.remove(0).block;
    let data = f.cluster.conf_dir().with_file_name("data").join(format!("dn{node}"));
    let found =
        std::process::Command::new("find").arg(&data).arg("-name").arg(format!("blk_{block}*")).output().unwrap();
    let files: Vec<PathBuf> = String::from_utf8(found.stdout).unwrap().lines().map(PathBuf::from).collect();
    assert_eq!(files.len(), 2, "{files:?}");
    files
}

/// Opens and reads a file until something was not read from its files; every time its bytes come.
async fn read_until_something_fails(hdfs: &Hdfs, url: &HdfsUrl, content: &Bytes) -> CountersSnapshot {
    for _ in 0..TRIES {
        assert!(open_and_read(hdfs, url).await == *content, "other bytes came");
        let counts = hdfs.counters().snapshot();
        if counts.short_circuit_failures > 0 {
            return counts;
        }
    }
    panic!("the damaged replica was never met");
}

#[test]
fn every_range_comes_from_the_files() {
    check("short", |f| async move {
        let content = pattern(4 * BLOCK + 1000);
        let url = f.write("a", &content).await;
        let hdfs = short_circuit(&f);
        let file = HdfsFile::open(&hdfs, &url).await.unwrap();
        let edges =
            [0, 1, 511, 512, BLOCK - 1, BLOCK, BLOCK + 1, 2 * BLOCK + 77, 3 * BLOCK, 4 * BLOCK + 999, 4 * BLOCK + 1000];
        for from in edges {
            for to in edges.into_iter().filter(|to| *to >= from) {
                let read = file.read_range(from as u64..to as u64).await.unwrap();
                assert!(read == content.slice(from..to), "{from}..{to}");
            }
        }
        assert!(whole(&file).await == content, "the stream has other bytes");
        let counts = hdfs.counters().snapshot();
        assert_eq!((counts.bytes_read_here, counts.short_circuit_failures), (counts.bytes_read, 0));
        assert_eq!(counts.namenode_calls, 3, "one open, and where the blocks were before and after it");
        let plain = f.with(|_| ());
        assert!(open_and_read(&plain, &url).await == content, "through DataNodes come other bytes");
        assert_eq!(plain.counters().snapshot().bytes_read_here, 0, "it is off by default");
    });
}

#[test]
fn hadoop_s_own_switches_turn_it_on() {
    check("switches", |f| async move {
        let content = pattern(1000);
        let url = f.write("a", &content).await;
        let with = |legacy: &str| {
            f.with(|settings| {
                for (name, value) in [("read.shortcircuit", "true"), ("use.legacy.blockreader.local", legacy)] {
                    settings.properties.insert(format!("dfs.client.{name}"), value.to_owned());
                }
            })
        };
        for (legacy, expected) in [("true", 1000), ("false", 0)] {
            let hdfs = with(legacy);
            assert_eq!(open_and_read(&hdfs, &url).await, content);
            assert_eq!(hdfs.counters().snapshot().bytes_read_here, expected, "{legacy}");
        }
    });
}

#[test]
fn who_may_not_is_served_by_data_nodes() {
    check("stranger", |f| async move {
        let content = pattern(2 * BLOCK);
        let url = f.write("a", &content).await;
        let stranger = f.with(|settings| {
            settings.short_circuit = Some(true);
            settings.user = Some("stranger".to_owned());
        });
        for _ in 0..5 {
            assert!(open_and_read(&stranger, &url).await == content, "other bytes came");
        }
        let counts = stranger.counters().snapshot();
        assert_eq!(counts.bytes_read_here, 0);
        assert_eq!(counts.short_circuit_failures, 2, "each DataNode is asked once, and left alone");
    });
}

#[test]
fn a_replica_with_a_flipped_bit_is_read_elsewhere() {
    check("flipped", |f| async move {
        let content = pattern(3 * BLOCK);
        let url = f.write("a", &content).await;
        let file = replica_files(&f, &url, 1).await.into_iter().find(|path| path.extension().is_none()).unwrap();
        let mut bytes = std::fs::read(&file).unwrap();
        bytes[BLOCK / 2] ^= 4;
        std::fs::write(&file, bytes).unwrap();
        let counts = read_until_something_fails(&short_circuit(&f), &url, &content).await;
        assert!(counts.bytes_read_here > BLOCK as u64, "what is whole still comes from files");
    });
}

#[test]
fn replicas_without_their_files_are_read_elsewhere() {
    check("gone", |f| async move {
        let content = pattern(3 * BLOCK);
        for (name, extension) in [("data", None), ("sums", Some("meta"))] {
            let url = f.write(name, &content).await;
            let is_it = |path: &PathBuf| path.extension().and_then(|it| it.to_str()) == extension;
            let file = replica_files(&f, &url, 2).await.into_iter().find(is_it).unwrap();
            std::fs::write(&file, []).unwrap();
            read_until_something_fails(&short_circuit(&f), &url, &content).await;
            std::fs::remove_file(&file).unwrap();
            read_until_something_fails(&short_circuit(&f), &url, &content).await;
        }
    });
}

#[test]
fn an_open_file_stays_what_it_was() {
    check("replaced", |f| async move {
        let (old, new) = (pattern(2 * BLOCK), Bytes::from(vec![7; 2 * BLOCK]));
        let url = f.write("a", &old).await;
        let hdfs = short_circuit(&f);
        let file = HdfsFile::open(&hdfs, &url).await.unwrap();
        f.hdfs.remove(&url, hearth_hdfs::Depth::One).await.unwrap();
        f.write("a", &new).await;
        // The blocks of the old file go away in their own time.
        match file.read_range(0..file.bytes()).await {
            Ok(read) => assert!(read == old, "bytes of another file came"),
            Err(error) => assert!(["block", "changed", "data_nodes", "missing"].contains(&error.name()), "{error}"),
        }
        assert!(open_and_read(&hdfs, &url).await == new, "opened again, it has other bytes");

        let more = f.cluster.conf_dir().with_file_name("more");
        std::fs::write(&more, [1; 700]).unwrap();
        let file = HdfsFile::open(&hdfs, &url).await.unwrap();
        let (cluster, arguments) =
            (f.cluster, ["fs", "-appendToFile", more.to_str().unwrap(), &url.to_string()].map(str::to_owned));
        tokio::task::spawn_blocking(move || cluster.run(&arguments.each_ref().map(String::as_str)).unwrap())
            .await
            .unwrap();
        assert!(whole(&file).await == new, "an append changed what was open");
        let longer = [&new[..], &[1; 700]].concat();
        assert!(open_and_read(&hdfs, &url).await == longer, "what was appended is not all there");
    });
}

#[test]
fn data_nodes_that_die_or_hang_are_waited_for_a_moment() {
    check_breaking("silent", |f| async move {
        let content = pattern(4 * BLOCK);
        let url = f.write("a", &content).await;
        let hdfs = short_circuit(&f);
        for strike in [&["hang-dn", "1"], &["kill-dn", "2"]] {
            f.run(strike).await;
            let begun = Instant::now();
            if strike[0] == "hang-dn" {
                assert!(open_and_read(&hdfs, &url).await == content, "other bytes came");
                f.run(&["resume-dn", "1"]).await;
            } else {
                assert!(open_and_read(&short_circuit(&f), &url).await == content, "other bytes came");
            }
            assert!(begun.elapsed() < Duration::from_secs(60), "{:?}", begun.elapsed());
        }
    });
}
