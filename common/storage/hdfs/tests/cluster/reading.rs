//! Ranges, streams, and where the blocks are.

use hearth_hdfs::HdfsFile;

use crate::fixture::{check, name_of, pattern};

const BLOCK: u64 = 1 << 20;

#[test]
fn any_range_gives_its_bytes() {
    check("ranges", |f| async move {
        let content = pattern(4 * BLOCK as usize + 1000);
        let url = f.write("a", &content).await;
        let end = content.len() as u64;
        let before = f.hdfs.counters().snapshot();
        let file = HdfsFile::open(&f.hdfs, &url).await.unwrap();
        assert_eq!((file.bytes(), file.url()), (end, &url));
        let edges = [0, 1, 511, BLOCK - 1, BLOCK, BLOCK + 1, 2 * BLOCK + 77, 3 * BLOCK, end - 1, end];
        for from in edges {
            for to in edges.into_iter().filter(|to| *to >= from) {
                let range = usize::try_from(from).unwrap()..usize::try_from(to).unwrap();
                assert_eq!(file.read_range(from..to).await.unwrap(), content.slice(range), "{from}..{to}");
            }
        }
        assert_eq!(f.hdfs.counters().snapshot().namenode_calls - before.namenode_calls, 1, "one open, many reads");
        assert_eq!(name_of(file.read_range(0..end + 1).await), "refused");
        assert_eq!(name_of(file.read_range(end + 1..end + 2).await), "refused");
        assert_eq!(name_of(file.read_range(std::ops::Range { start: 2, end: 1 }).await), "refused");
    });
}

#[test]
fn streams_read_ahead_but_not_far() {
    check("streams", |f| async move {
        let content = pattern(12 * BLOCK as usize);
        let url = f.write("a", &content).await;
        let hdfs = f.with(|settings| settings.read_ahead = hearth_common::ByteSize(256 << 10));
        let file = HdfsFile::open(&hdfs, &url).await.unwrap();
        let mut stream = file.stream(3..content.len() as u64 - 5).unwrap();
        let first = stream.next().await.unwrap().unwrap();
        // What is read ahead comes to rest though nobody takes it.
        let read = || hdfs.counters().snapshot().bytes_read;
        let rest = async {
            let mut before = 0;
            while before != read() {
                before = read();
                tokio::time::sleep(std::time::Duration::from_millis(200)).await;
            }
        };
        tokio::time::timeout(std::time::Duration::from_secs(20), rest).await.unwrap();
        assert!(read() <= first.len() as u64 + 6 * (64 << 10), "{} bytes were read ahead", read());
        let mut whole = first.to_vec();
        while let Some(chunk) = stream.next().await.unwrap() {
            whole.extend_from_slice(&chunk);
        }
        assert_eq!(whole, content[3..content.len() - 5]);
        assert_eq!(stream.next().await.unwrap(), None);
    });
}

#[test]
fn blocks_are_located() {
    check("locations", |f| async move {
        let url = f.write("a", &pattern(2 * BLOCK as usize + 5)).await;
        let blocks = f.hdfs.block_locations(&url, 0..u64::MAX >> 1).await;
        let ranges: Vec<_> = blocks.iter().map(|block| block.range.clone()).collect();
        assert_eq!(ranges, [0..BLOCK, BLOCK..2 * BLOCK, 2 * BLOCK..2 * BLOCK + 5]);
        for block in &blocks {
            let mut hosts: Vec<&str> = block.replicas.iter().map(|replica| replica.host.as_str()).collect();
            hosts.sort_unstable();
            assert_eq!(hosts, ["worker1", "worker2"]);
            let replica = &block.replicas[0];
            assert_eq!(
                (replica.ip.as_str(), replica.rack.as_str(), block.is_corrupt),
                ("127.0.0.1", "/default-rack", false)
            );
        }
        let second = f.hdfs.block_locations(&url, BLOCK..BLOCK + 1).await;
        assert_eq!(second.iter().map(|block| block.block).collect::<Vec<_>>(), [blocks[1].block]);
        assert_eq!(f.hdfs.block_locations(&f.at("none"), 0..1).await, []);
        assert_eq!(f.hdfs.block_locations(&url, 0..0).await, []);
        // It still works after a failure.
        assert_eq!(f.hdfs.block_locations(&url, 0..1).await.len(), 1);
    });
}
