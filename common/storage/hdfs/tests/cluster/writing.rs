//! Files that are written and read back, by us and by Hadoop's own shell.

use std::io::Write as _;

use bytes::Bytes;
use hearth_hdfs::{Content, NewFile, Overwrite, Parents, Spool, Upload};

use crate::fixture::{check, name_of, pattern};

const BLOCK: usize = 1 << 20;

#[test]
fn files_of_any_length_come_back() {
    check("lengths", |f| async move {
        for length in [0, 1, 511, 512, BLOCK - 1, BLOCK, BLOCK + 1, 5 * BLOCK + 12_345] {
            let content = pattern(length);
            let url = f.write(&format!("f{length}"), &content).await;
            assert_eq!(f.read(&url).await, content, "{length}");
            let entry = f.hdfs.stat(&url).await.unwrap();
            assert_eq!((entry.bytes, entry.replication, entry.block_bytes), (length as u64, 2, BLOCK as u64));
        }
        assert_eq!(
            f.cluster.cat(&format!("{}/f{}", f.home.path(), 5 * BLOCK + 12_345)).unwrap(),
            pattern(5 * BLOCK + 12_345)
        );
        assert_eq!(f.cluster.cat(&format!("{}/f0", f.home.path())).unwrap(), b"");
        f.cluster.put(&format!("{}/java", f.home.path()), &pattern(3 * BLOCK + 7)).unwrap();
        assert_eq!(f.read(&f.at("java")).await, pattern(3 * BLOCK + 7));
    });
}

#[test]
fn a_writer_says_what_it_has_and_cleans_up() {
    check("writers", |f| async move {
        let mut writer = f.hdfs.create(&f.at("a"), NewFile::in_existing_directory()).await.unwrap();
        writer.write(pattern(2 * BLOCK + 1)).await.unwrap();
        writer.write(Bytes::new()).await.unwrap();
        assert_eq!(writer.bytes_written(), 2 * BLOCK as u64 + 1);
        assert_eq!(writer.close().await.unwrap(), 2 * BLOCK as u64 + 1);
        assert_eq!(f.read(&f.at("a")).await, pattern(2 * BLOCK + 1));
        let new = NewFile { replication: Some(1), block_bytes: Some(4096), parents: Parents::Create };
        let mut writer = f.hdfs.create(&f.at("new/b"), new).await.unwrap();
        writer.write(pattern(5000)).await.unwrap();
        writer.abandon().await.unwrap();
        let dropped = f.hdfs.create(&f.at("new/c"), new).await.unwrap();
        drop(dropped);
        let gone = async {
            while f.names().await != ["a", "new"] {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(std::time::Duration::from_secs(10), gone).await.expect("what is not closed goes away");
    });
}

#[test]
fn uploads_take_the_asked_name_or_fail() {
    check("uploads", |f| async move {
        let directory = tempfile::tempdir().unwrap();
        let mut spool = Spool::create_in(directory.path()).unwrap();
        spool.write_all(&pattern(BLOCK + 17)).unwrap();
        let url = f.at("sub/a");
        let upload = Upload::new(spool.content());
        assert_eq!(name_of(f.hdfs.upload(&url, &upload).await), "missing");
        let sent = std::sync::atomic::AtomicU64::new(0);
        let progress = |bytes| sent.store(bytes, std::sync::atomic::Ordering::Relaxed);
        let upload = Upload { parents: Parents::Create, progress: &progress, replication: Some(1), ..upload };
        let uploaded = f.hdfs.upload(&url, &upload).await.unwrap();
        assert_eq!(
            (uploaded.bytes, uploaded.tries, sent.load(std::sync::atomic::Ordering::Relaxed)),
            (BLOCK as u64 + 17, 1, BLOCK as u64 + 17)
        );
        assert_eq!(f.hdfs.stat(&url).await.unwrap().replication, 1);
        assert_eq!(name_of(f.hdfs.upload(&url, &upload).await), "exists");
        let other = Upload { overwrite: Overwrite::File, ..Upload::new(Content::Bytes(pattern(3))) };
        f.hdfs.upload(&url, &other).await.unwrap();
        assert_eq!(f.read(&url).await, pattern(3));
        f.hdfs.set_replication(&url, 1).await.unwrap();
        assert_eq!(f.hdfs.stat(&url).await.unwrap().replication, 1);
        assert_eq!(name_of(f.hdfs.set_replication(&f.at("none"), 1).await), "missing");
        let missing = Upload::new(Content::File("/no/such/file".into()));
        assert_eq!(name_of(f.hdfs.upload(&f.at("x"), &missing).await), "local");
        assert_eq!(f.names().await, ["sub", "sub/a"], "nothing hidden is left");
    });
}
