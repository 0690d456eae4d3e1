//! `hearth fs` on a real HDFS; what it writes, Hadoop's own shell reads.

use std::path::Path;

use anyhow::{Result, ensure};
use hearth_tests::{Background, Deadline, Outcome, run_hearth, wait_for};

use crate::hdfs_fixture::{Hdfs, check_alone};

fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

fn fs(arguments: &[&str]) -> Result<Outcome> {
    run_hearth(&[&["fs"], arguments].concat())
}

/// Bytes of a few blocks, that differ everywhere.
fn content() -> Vec<u8> {
    (0..400_000_u32).flat_map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes()).collect()
}

#[test]
fn files_go_there_and_back() -> Result<()> {
    check_alone("fs", |hdfs| {
        let local = tempfile::tempdir()?;
        let (file, content) = (local.path().join("a b.bin"), content());
        std::fs::write(&file, &content)?;
        let directory = format!("{}/", text(&hdfs.url("new/deep")));
        let put = fs(&["put", &text(&file), &directory, "--json"])?.success()?.json()?;
        assert_eq!(put["copied"][0]["bytes"], content.len(), "{put:#}");
        assert!(hdfs.cat("new/deep/a b.bin")? == content, "the shell reads what was put");
        fs(&["put", &text(&file), &directory])?.with_code(1)?.says(&["exists already", "--overwrite"])?;
        std::fs::write(&file, "short")?;
        fs(&["put", &text(&file), &directory, "--overwrite", "--replication", "1"])?.success()?;
        let there = text(&hdfs.url("new/deep/a b.bin"));
        let listed = fs(&["ls", &there, "--json"])?.success()?.json()?;
        assert_eq!((&listed["items"][0]["replication"], &listed["items"][0]["bytes"]), (&1.into(), &5.into()));
        assert_eq!(fs(&["cat", &there])?.success()?.stdout, "short");
        fs(&["mv", &there, &text(&hdfs.url("new/c"))])?.success()?;
        fs(&["mv", &text(&hdfs.url("new/c")), &text(&hdfs.url("new/deep"))])?.success()?;
        fs(&["get", "--recursive", &text(&hdfs.url("new")), &text(local.path())])?.success()?;
        assert_eq!(std::fs::read_to_string(local.path().join("new/deep/c"))?, "short");
        fs(&["put", "--recursive", &text(&local.path().join("new")), &text(&hdfs.url("twin"))])?.success()?;
        let added = fs(&["du", &text(&hdfs.url("twin")), "--json"])?.success()?.json()?;
        let sum = |name: &str| added["sums"][0]["sum"][name].as_u64().unwrap_or_default();
        assert_eq!((sum("bytes"), sum("bytes_on_disk"), sum("files"), sum("directories")), (5, 10, 1, 2), "{added:#}");
        fs(&["rm", &text(&hdfs.url("new"))])?.with_code(1)?.says(&["is a directory", "--recursive"])?;
        fs(&["rm", "-r", &text(&hdfs.url("new")), &text(&hdfs.url("twin"))])?.success()?;
        fs(&["rm", &text(&hdfs.url("new"))])?.with_code(1)?.says(&["there is no", "hearth fs ls"])?;
        ensure!(hdfs.list()?.is_empty(), "something is left: {}", hdfs.list()?);
        Ok(())
    })
}

#[test]
fn a_put_outlives_a_data_node() -> Result<()> {
    check_alone("fs-dn", |hdfs| {
        let local = tempfile::tempdir()?;
        let (file, content) = (local.path().join("a"), content());
        std::fs::write(&file, &content)?;
        hdfs.run(&["kill-dn", "2"])?;
        fs(&["put", &text(&file), &text(&hdfs.url("a"))])?.success()?;
        assert!(hdfs.cat("a")? == content);
        check_alone_there(hdfs, "a")
    })
}

#[test]
fn safe_mode_is_waited_for_and_told() -> Result<()> {
    check_alone("fs-safe", |hdfs| {
        let local = tempfile::tempdir()?;
        let file = local.path().join("a");
        std::fs::write(&file, "rows")?;
        let (file, target) = (text(&file), text(&hdfs.url("a")));
        hdfs.run(&["safemode", "enter"])?;
        fs(&["put", &file, &target, "--wait", "1s"])?.with_code(1)?.says(&[
            "waiting for HDFS",
            "safe mode",
            "waited",
        ])?;
        let mut waiting = Background::start(&["fs", "put", &file, &target])?;
        wait_for("word of safe mode", Deadline::after_seconds(30), || {
            Ok(waiting.process().stderr().contains("waiting for HDFS").then_some(()))
        })?;
        hdfs.run(&["safemode", "leave"])?;
        waiting.finish()?.success()?;
        assert_eq!(hdfs.cat("a")?, b"rows");
        check_alone_there(hdfs, "a")
    })
}

/// Nothing else is in the test's directory, hidden names included.
fn check_alone_there(hdfs: &Hdfs, name: &str) -> Result<()> {
    let listed = hdfs.list()?;
    ensure!(listed.lines().count() == 1 && listed.trim_end().ends_with(&format!("/{name}")), "{listed}");
    Ok(())
}
