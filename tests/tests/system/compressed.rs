//! Compressed text gives the same answer as plain text, and damaged files fail the job by their names.

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use hearth_tests::data::UserActions;
use hearth_tests::{Cluster, ClusterOptions, JobFile, part_files, read_parquet_dir, run_hearth};

use crate::common::{MAIN_QUERY, number, small_answer};

/// The job failed.
const FAILED: i32 = 1;

/// As `gzip` writes it: two files one behind the other.
fn gzip(text: &[u8]) -> Result<Vec<u8>> {
    let (first, second) = text.split_at(text.len() / 2);
    let mut stored = Vec::new();
    for part in [first, second] {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(part)?;
        stored.extend(encoder.finish()?);
    }
    Ok(stored)
}

fn bzip2(text: &[u8]) -> Result<Vec<u8>> {
    let mut encoder = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
    encoder.write_all(text)?;
    Ok(encoder.finish()?)
}

fn zstd(text: &[u8]) -> Result<Vec<u8>> {
    Ok(zstd::stream::encode_all(text, 1)?)
}

/// Writes the files of a directory into another, each compressed in another way.
fn compress_each(from: &Path, to: &Path) -> Result<()> {
    std::fs::create_dir(to)?;
    for (index, file) in part_files(from)?.iter().enumerate() {
        let text = std::fs::read(file)?;
        let (stored, extension) = match index % 4 {
            0 => (gzip(&text)?, ".gz"),
            1 => (bzip2(&text)?, ".bz2"),
            2 => (zstd(&text)?, ".zst"),
            _ => (text, ""),
        };
        let name = file.file_name().context("a file has a name")?.to_string_lossy().into_owned();
        std::fs::write(to.join(name + extension), stored)?;
    }
    Ok(())
}

#[test]
fn compressed_csv_equals_plain() -> Result<()> {
    Cluster::run(ClusterOptions::default(), |cluster| {
        let data = cluster.directory().join("actions");
        compress_each(&UserActions::SMALL.directory()?, &data)?;
        let output = cluster.directory().join("report");
        let job = JobFile::new("compressed", MAIN_QUERY).csv("actions", &data).output(&output, &[]);
        let status = cluster.run_job(&job.setting("split_bytes = \"256KiB\""))?;
        read_parquet_dir(&output)?.check_equal(small_answer()?)?;
        assert_eq!(number(&status, "/metrics/input_rows"), UserActions::SMALL.rows);
        Ok(())
    })
}

#[test]
fn compressed_json_equals_plain() -> Result<()> {
    Cluster::run(ClusterOptions::default(), |cluster| {
        let plain = cluster.directory().join("plain");
        let rows = ["--rows", "50000", "--users", "300", "--files", "5", "--seed", "7"];
        let place = plain.to_string_lossy();
        let arguments = [&["generate", "--format", "json", &*place], &rows[..]].concat();
        run_hearth(&arguments)?.success()?;
        let compressed = cluster.directory().join("compressed");
        compress_each(&plain, &compressed)?;
        let query = "SELECT email, action, count(*) AS freq FROM actions GROUP BY email, action ORDER BY email, action";
        let rows_of = |data: &PathBuf| -> Result<_> {
            let status =
                cluster.run_job(&JobFile::new("json", query).input("actions", data, &["format = \"json\""]))?;
            assert_eq!(number(&status, "/metrics/input_rows"), 50_000);
            Ok(status["result"].clone())
        };
        let expected = rows_of(&plain)?;
        ensure!(expected.as_array().is_some_and(|rows| rows.len() > 300), "the plain files have rows");
        ensure!(rows_of(&compressed)? == expected, "compressed files give other rows than plain ones");
        Ok(())
    })
}

#[test]
fn damaged_files_fail_the_job() -> Result<()> {
    Cluster::run(ClusterOptions { workers: 1, ..ClusterOptions::default() }, |cluster| {
        let text: String = (0..200_000).map(|number| format!("{number},name {number}\n")).collect();
        let stored = gzip(format!("n,text\n{text}").as_bytes())?;
        let check = |name: &str, stored: &[u8], lines: &[&str], texts: &[&str]| -> Result<()> {
            let path = cluster.directory().join(name);
            std::fs::write(&path, stored)?;
            let job =
                JobFile::new("damaged", "SELECT count(*) AS records, sum(n) AS s FROM t").input("t", &path, lines);
            cluster.submit(&job, &[])?.with_code(FAILED)?.says(&[&[name], texts].concat())?;
            Ok(())
        };
        let csv = ["format = \"csv\"", "schema = { n = \"int64\", text = \"string\" }"];
        let end = stored.len() - 100;
        check("cut.csv.gz", &stored[..end], &csv, &["gzip", "truncated", &format!("byte {end}")])?;
        let mut flipped = stored.clone();
        flipped[end] ^= 0x10;
        check("flipped.csv.gz", &flipped, &csv, &["gzip", "corrupt"])?;
        check("plain.csv.gz", b"n,text\n1,a\n", &csv, &["corrupt at its first byte", "compression = \"none\""])?;
        check("empty.csv.zst", b"", &csv, &["truncated"])?;
        let bad = zstd(format!("n,text\n{text}x,y\n").as_bytes())?;
        let place = ["line 200002", "column `n`", "line and byte count the decompressed data"];
        check("bad.csv.zst", &bad, &csv, &place)?;
        let utf16 = |text: &str| text.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<u8>>();
        let little = [&csv[..], &["encoding = \"utf-16le\""]].concat();
        let place = ["line 200002", "column `n`", "the byte counts the file's text as UTF-8"];
        check("utf16.csv.zst", &zstd(&utf16(&format!("n,text\n{text}x,y\n")))?, &little, &place)?;
        check("odd.csv.gz", &gzip(&[utf16("n,text\n"), vec![0]].concat())?, &little, &["middle of a character"])?;
        check("a.csv.xz", b"x", &csv, &["`.xz` files cannot be read"])?;
        let named = [&csv[..], &["compression = \"bzip2\""]].concat();
        check("named.csv", b"n,text\n1,a\n", &named, &["bzip2", "corrupt"])
    })
}
