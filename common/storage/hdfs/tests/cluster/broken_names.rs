//! Answers that are lost, `NameNode`s that die, hang or take no changes.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use hearth_hdfs::{Clusters, Content, Depth, Hdfs, HdfsError, HdfsFile, Overwrite, Patience, Removed, Upload};

use crate::fixture::{Fixture, check, check_breaking, name_of, pattern, settings};
use crate::proxy::{Lose, Proxy};

/// The same cluster behind a proxy.
fn behind(f: &Fixture) -> (Proxy, Hdfs) {
    let proxy = Proxy::to(f.cluster.url());
    let url = hearth_hdfs::HdfsUrl::parse(&format!("hdfs://{}/", proxy.authority)).unwrap();
    let hdfs = Clusters::new(settings(f.cluster)).unwrap().at(&url).unwrap();
    (proxy, hdfs)
}

#[test]
fn a_rename_whose_answer_is_lost_is_settled_by_looking() {
    check("lost renames", |f| async move {
        for (number, lost) in
            [&[Lose::Answer][..], &[Lose::Request], &[Lose::Silence], &[Lose::Delay], &[Lose::Request, Lose::Answer]]
                .iter()
                .enumerate()
        {
            for overwrite in [Overwrite::Never, Overwrite::File] {
                let (proxy, hdfs) = behind(&f);
                let content = pattern(100 + number);
                let (from, to) = (f.write("from", &content).await, f.at("to"));
                for what in *lost {
                    proxy.lose("rename2", *what);
                }
                hdfs.rename(&from, &to, overwrite)
                    .await
                    .unwrap_or_else(|error| panic!("{lost:?} {overwrite:?}: {error}"));
                assert!(proxy.is_done());
                assert_eq!((f.names().await, f.read(&to).await), (vec!["to".to_owned()], content));
                assert!(hdfs.counters().snapshot().settled_by_looking >= 1);
                f.hdfs.remove(&to, Depth::One).await.unwrap();
            }
        }
    });
}

#[test]
fn a_lost_answer_does_not_hide_that_the_name_was_taken() {
    check("taken", |f| async move {
        for lost in [Lose::Answer, Lose::Request] {
            let (proxy, hdfs) = behind(&f);
            let (from, to) = (f.write("from", &pattern(5)).await, f.write("to", &pattern(6)).await);
            proxy.lose("rename2", lost);
            assert_eq!(name_of(hdfs.rename(&from, &to, Overwrite::Never).await), "exists");
            assert_eq!((f.read(&from).await, f.read(&to).await), (pattern(5), pattern(6)));
            f.hdfs.remove(&from, Depth::One).await.unwrap();
            f.hdfs.remove(&to, Depth::One).await.unwrap();
        }
    });
}

/// It is refused each time: sending it again does not help.
#[test]
fn a_lost_answer_does_not_hide_a_refusal() {
    check("refused", |f| async move {
        for lost in [Lose::Answer, Lose::Request] {
            let (proxy, hdfs) = behind(&f);
            let from = f.write("from", &pattern(5)).await;
            proxy.lose("rename2", lost);
            let nowhere = f.at("nowhere/to");
            let into_nowhere = hdfs.rename(&from, &nowhere, Overwrite::Never);
            let refused = tokio::time::timeout(Duration::from_secs(60), into_nowhere).await;
            assert_eq!(name_of(refused.expect("an answer in time")), "missing");
            f.hdfs.remove(&from, Depth::One).await.unwrap();
            let directory = f.at("directory");
            f.hdfs.make_directory(&directory).await.unwrap();
            f.write("directory/file", &pattern(5)).await;
            proxy.lose("delete", lost);
            let refused = tokio::time::timeout(Duration::from_secs(60), hdfs.remove(&directory, Depth::One)).await;
            assert_eq!(name_of(refused.expect("an answer in time")), "not_empty");
            f.hdfs.remove(&directory, Depth::All).await.unwrap();
        }
    });
}

#[test]
fn a_removal_whose_answer_is_lost_is_settled_by_looking() {
    check("lost removals", |f| async move {
        for lost in [Lose::Answer, Lose::Request, Lose::Silence, Lose::Delay] {
            let (proxy, hdfs) = behind(&f);
            let url = f.write("a", &pattern(5)).await;
            proxy.lose("delete", lost);
            assert_eq!(hdfs.remove(&url, Depth::One).await.unwrap(), Removed::Done, "{lost:?}");
            assert_eq!(f.names().await, [""; 0]);
        }
    });
}

#[test]
fn an_upload_outlives_lost_answers() {
    check("lost uploads", |f| async move {
        for method in ["create", "addBlock", "complete", "rename2", "getFileInfo"] {
            for lost in [Lose::Answer, Lose::Request] {
                let (proxy, hdfs) = behind(&f);
                let url = f.at(&format!("{method}{lost:?}"));
                proxy.lose(method, lost);
                let uploaded = hdfs.upload(&url, &Upload::new(Content::Bytes(pattern(1_500_000)))).await;
                uploaded.unwrap_or_else(|error| panic!("{method} {lost:?}: {error}"));
                assert!(proxy.is_done(), "{method} was called");
                assert_eq!(f.read(&url).await, pattern(1_500_000), "{method} {lost:?}");
            }
        }
        let names = f.names().await;
        assert!(names.len() == 10 && names.iter().all(|name| !name.starts_with('.')), "{names:?}");
    });
}

#[test]
fn a_name_node_that_hangs_is_an_error_in_time() {
    check_breaking("hung name node", |f| async move {
        let (content, hdfs) = (pattern(3 << 20), &f.hdfs);
        let url = f.write("a", &content).await;
        let file = HdfsFile::open(hdfs, &url).await.unwrap();
        f.run(&["hang-nn"]).await;
        let begun = Instant::now();
        assert_eq!(name_of(hdfs.stat(&url).await), "unreachable");
        assert_eq!(name_of(f.with(|_| ()).stat(&url).await), "unreachable");
        assert_eq!(name_of(hdfs.list_all(&f.home, Depth::One, 9).await), "unreachable");
        assert_eq!(
            name_of(hdfs.create(&f.at("b"), hearth_hdfs::NewFile::in_existing_directory()).await.map(drop)),
            "unreachable"
        );
        assert_eq!(hdfs.block_locations(&url, 0..1).await, []);
        assert!(begun.elapsed() < Duration::from_secs(50), "{:?}", begun.elapsed());
        assert_eq!(file.read_range(0..file.bytes()).await.unwrap(), content, "an open file needs no NameNode");
        let waiting = AtomicU32::new(0);
        let notice = |_: &hearth_hdfs::Waiting<'_>| {
            if waiting.fetch_add(1, Ordering::SeqCst) == 0 {
                f.cluster.run(&["resume-nn"]).unwrap();
            }
        };
        let patience = Patience { limit: Duration::from_secs(40), notice: &notice };
        assert_eq!(hdfs.wait_for(patience, || hdfs.stat(&url)).await.unwrap().bytes, 3 << 20);
        assert!(waiting.into_inner() >= 1 && hdfs.counters().snapshot().reconnects >= 1);
    });
}

#[test]
fn a_name_node_that_is_down_is_waited_for() {
    check_breaking("dead name node", |f| async move {
        let content = pattern(8 << 20);
        let (cluster, fired) = (f.cluster, AtomicU32::new(0));
        // It dies when half of the file is sent, and comes back when somebody waits for it.
        let progress = |bytes: u64| {
            if bytes > 4 << 20 && fired.fetch_add(1, Ordering::SeqCst) == 0 {
                cluster.run(&["kill-nn"]).unwrap();
            }
        };
        let restarted = AtomicU32::new(0);
        let notice = |_: &hearth_hdfs::Waiting<'_>| {
            if restarted.fetch_add(1, Ordering::SeqCst) == 0 {
                cluster.run(&["start-nn"]).unwrap();
            }
        };
        let upload = Upload { progress: &progress, notice: &notice, ..Upload::new(Content::Bytes(content.clone())) };
        f.hdfs.upload(&f.at("a"), &upload).await.unwrap();
        assert!(restarted.into_inner() >= 1);
        assert_eq!(f.cluster.cat(f.at("a").path()).unwrap(), content);
        f.run(&["kill-nn"]).await;
        let begun = Instant::now();
        let error = f.with(|_| ()).stat(&f.home).await.unwrap_err();
        assert!(matches!(&error, HdfsError::Unreachable { .. }) && !error.is_ambiguous(), "{error}");
        let hdfs = f.with(|settings| settings.wait_for_namenode = Duration::from_secs(1));
        let error = hdfs.wait_quietly(|| hdfs.stat(&f.home)).await.unwrap_err();
        assert!(matches!(error, HdfsError::GaveUp { .. }) && error.to_string().starts_with("waited "), "{error}");
        assert!(begun.elapsed() < Duration::from_secs(30), "{:?}", begun.elapsed());
    });
}

#[test]
fn safe_mode_is_waited_for() {
    check_breaking("safe mode", |f| async move {
        let url = f.write("a", &pattern(10)).await;
        f.run(&["safemode", "enter"]).await;
        let hdfs = &f.hdfs;
        assert_eq!(f.read(&url).await, pattern(10));
        assert_eq!(name_of(hdfs.make_directories(&f.at("d")).await), "safe_mode");
        assert_eq!(name_of(hdfs.rename(&url, &f.at("b"), Overwrite::Never).await), "safe_mode");
        assert_eq!(name_of(hdfs.remove(&url, Depth::One).await), "safe_mode");
        assert_eq!(name_of(hdfs.set_replication(&url, 1).await), "safe_mode");
        let short = f.with(|settings| settings.wait_for_namenode = Duration::from_millis(500));
        let error = short.upload(&f.at("c"), &Upload::new(Content::Bytes(Bytes::new()))).await.unwrap_err();
        assert!(matches!(&error, HdfsError::GaveUp { .. }) && error.to_string().contains("safe mode"), "{error}");
        let left = AtomicU32::new(0);
        let notice = |waiting: &hearth_hdfs::Waiting<'_>| {
            assert_eq!(waiting.because.name(), "safe_mode");
            if left.fetch_add(1, Ordering::SeqCst) == 0 {
                f.cluster.run(&["safemode", "leave"]).unwrap();
            }
        };
        let upload = Upload { notice: &notice, ..Upload::new(Content::Bytes(pattern(20))) };
        hdfs.upload(&f.at("c"), &upload).await.unwrap();
        assert_eq!((f.read(&f.at("c")).await, f.names().await.len()), (pattern(20), 2));
    });
}
