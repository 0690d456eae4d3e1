//! The object store that engines read through.

use std::sync::Arc;

use futures::TryStreamExt as _;
use hearth_hdfs::{HdfsError, HdfsStore, Waits};
use object_store::{ObjectStore, ObjectStoreExt as _};

use crate::fixture::{check, pattern};

#[test]
fn many_ranges_cost_few_calls() {
    check("store ranges", |f| async move {
        let content = pattern(3 << 20);
        let url = f.write("a b%20.parquet", &content).await;
        let store: Arc<dyn ObjectStore> = Arc::new(HdfsStore::new(f.hdfs.clone()));
        let path = HdfsStore::object_path(&url).unwrap();
        let before = f.hdfs.counters().snapshot();
        let meta = store.head(&path).await.unwrap();
        assert_eq!(meta.size, 3 << 20);
        assert_eq!(meta.last_modified.timestamp_millis(), f.hdfs.stat(&url).await.unwrap().modified_ms);
        for start in (0..3 << 20).step_by(100_000) {
            let end = (start + 1000).min(content.len());
            assert_eq!(store.get_range(&path, start as u64..end as u64).await.unwrap(), content.slice(start..end));
        }
        let ranges = [0..10, 5..8, (2 << 20)..(2 << 20) + 7];
        let found = store.get_ranges(&path, &ranges).await.unwrap();
        let expected = [content.slice(0..10), content.slice(5..8), content.slice(2 << 20..(2 << 20) + 7)];
        assert_eq!(found, expected);
        assert_eq!(store.get(&path).await.unwrap().bytes().await.unwrap(), content);
        let calls = f.hdfs.counters().snapshot().namenode_calls - before.namenode_calls;
        assert!(calls <= 1 + 3, "{calls} calls");
    });
}

#[test]
fn lists_what_is_visible() {
    check("store lists", |f| async move {
        for name in ["b.csv", "a/c.csv", "a/_d.csv", "_temporary/e.csv", ".f.csv", "dt=1/g.csv"] {
            if let Some((directory, _)) = name.rsplit_once('/') {
                f.hdfs.make_directories(&f.at(directory)).await.unwrap();
            }
            f.write(name, &pattern(4)).await;
        }
        let store = HdfsStore::new(f.hdfs.clone());
        let root = HdfsStore::object_path(&f.home).unwrap();
        let below = |path: &object_store::path::Path| path.as_ref()[root.as_ref().len() + 1..].to_owned();
        let listed: Vec<_> = store.list(Some(&root)).try_collect().await.unwrap();
        let mut names: Vec<String> = listed.iter().map(|meta| below(&meta.location)).collect();
        names.sort();
        assert_eq!(names, ["a/c.csv", "b.csv", "dt=1/g.csv"]);
        let one = store.list_with_delimiter(Some(&root)).await.unwrap();
        assert_eq!(one.common_prefixes.iter().map(below).collect::<Vec<_>>(), ["a", "dt=1"]);
        assert_eq!(one.objects.iter().map(|meta| below(&meta.location)).collect::<Vec<_>>(), ["b.csv"]);
        let none = HdfsStore::object_path(&f.at("none")).unwrap();
        assert_eq!(store.list(Some(&none)).try_collect::<Vec<_>>().await.unwrap(), []);
    });
}

#[test]
fn errors_keep_their_type() {
    check("store errors", |f| async move {
        let store = HdfsStore::new(f.hdfs.clone());
        let none = HdfsStore::object_path(&f.at("none")).unwrap();
        let error = store.get(&none).await.unwrap_err();
        assert!(matches!(error, object_store::Error::NotFound { .. }), "{error}");
        let source = std::error::Error::source(&error).and_then(|source| source.downcast_ref::<HdfsError>());
        assert_eq!(source.map(HdfsError::name), Some("missing"));
        let error = store.put(&none, "x".into()).await.unwrap_err();
        assert!(matches!(error, object_store::Error::NotSupported { .. }), "{error}");
        assert!(store.delete(&none).await.is_err() && store.copy(&none, &none).await.is_err());
        let empty = HdfsStore::object_path(&f.write("empty", &pattern(0)).await).unwrap();
        assert_eq!(store.get(&empty).await.unwrap().bytes().await.unwrap(), "");
        assert!(store.get_range(&empty, 0..1).await.is_err() || f.hdfs.stat(&f.at("empty")).await.unwrap().bytes == 0);
    });
}

/// Whoever follows the waits of one piece of work hears of its end, although the store keeps the files that it opened.
#[test]
fn what_is_kept_of_a_file_outlives_the_waits_of_its_reader() {
    check("store waits", |f| async move {
        let content = pattern(1000);
        let path = HdfsStore::object_path(&f.write("a", &content).await).unwrap();
        let store = HdfsStore::new(f.hdfs.clone());
        let waits = Waits::default();
        let mut reader = waits.reader();
        let told = store.telling(waits);
        assert_eq!(told.get(&path).await.unwrap().bytes().await.unwrap(), content);
        drop(told);
        let ended = tokio::time::timeout(std::time::Duration::from_secs(5), reader.next()).await;
        assert_eq!(ended, Ok(None));
        let before = f.hdfs.counters().snapshot();
        assert_eq!(store.get(&path).await.unwrap().bytes().await.unwrap(), content);
        assert_eq!(f.hdfs.counters().snapshot().namenode_calls, before.namenode_calls, "it is still known");
    });
}
