//! Writes generated rows to files: under hidden names first, so that nobody reads half a file.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use super::row::{CSV_HEADER, ROW_BYTES_MAX, Rows};
use super::{DataFormat, GenerateArgs};
use crate::exit::CliError;

/// What was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Generated {
    pub(crate) files: u64,
    pub(crate) bytes: u64,
}

const BUFFER_BYTES: usize = 1 << 20;

/// Generates all files, `threads` at once; `progress` is told the rows as they are written.
pub(crate) fn write_data(
    args: &GenerateArgs,
    threads: u32,
    progress: &(dyn Fn(u64) + Sync),
) -> Result<Generated, CliError> {
    prepare(args)?;
    let next = AtomicU32::new(0);
    let work = || {
        let mut written = Generated::default();
        loop {
            let file = next.fetch_add(1, Ordering::Relaxed);
            if file >= args.files {
                return Ok(written);
            }
            written.bytes += write_file(args, file, progress)?;
            written.files += 1;
        }
    };
    let parts: Vec<Result<Generated, CliError>> = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads.min(args.files)).map(|_| scope.spawn(work)).collect();
        let stopped = |_| Err(CliError::failed("a thread that writes data stopped"));
        workers.into_iter().map(|worker| worker.join().unwrap_or_else(stopped)).collect()
    });
    let mut all = Generated::default();
    for part in parts {
        let part = part?;
        all = Generated { files: all.files + part.files, bytes: all.bytes + part.bytes };
    }
    Ok(all)
}

/// Makes the directory; refuses one with files in it, or removes earlier generated ones when told to.
fn prepare(args: &GenerateArgs) -> Result<(), CliError> {
    let directory = &args.directory;
    let failed = |error: std::io::Error| CliError::usage(format!("cannot write to {}: {error}", directory.display()));
    fs::create_dir_all(directory).map_err(failed)?;
    for entry in fs::read_dir(directory).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if !args.force && !name.starts_with('.') {
            let full = CliError::usage(format!("{} is not empty", directory.display()));
            return Err(full.hint("add --force to replace the generated files in it, or give another directory"));
        }
        if args.force && is_generated(&name) {
            fs::remove_file(entry.path()).map_err(failed)?;
        }
    }
    Ok(())
}

fn is_generated(name: &str) -> bool {
    let number = name.strip_prefix("part-").and_then(|rest| rest.split_once('.'));
    number.is_some_and(|(number, extension)| {
        let is_number = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
        is_number && [DataFormat::Csv, DataFormat::Json].iter().any(|format| format.extension() == extension)
    })
}

fn write_file(args: &GenerateArgs, file: u32, progress: &(dyn Fn(u64) + Sync)) -> Result<u64, CliError> {
    let name = format!("part-{file:05}.{}", args.format.extension());
    let (path, hidden) = (args.directory.join(&name), args.directory.join(format!(".{name}.tmp")));
    let failed = |error: std::io::Error| CliError::failed(format!("cannot write {}: {error}", path.display()));
    let written = write_rows(args, file, &hidden, progress);
    let renamed = written.and_then(|bytes| fs::rename(&hidden, &path).map(|()| bytes));
    renamed.map_err(|error| {
        remove_half(&hidden);
        failed(error)
    })
}

fn remove_half(hidden: &PathBuf) {
    if let Err(error) = fs::remove_file(hidden) {
        tracing::warn!(file = %hidden.display(), %error, "cannot remove an unfinished file");
    }
}

fn write_rows(args: &GenerateArgs, file: u32, path: &Path, progress: &(dyn Fn(u64) + Sync)) -> std::io::Result<u64> {
    let rows = Rows { rows: args.rows, users: args.users, seed: args.seed, format: args.format };
    let mut target = File::create(path)?;
    let mut buffer = Vec::with_capacity(BUFFER_BYTES + ROW_BYTES_MAX);
    if args.format == DataFormat::Csv {
        buffer.extend_from_slice(CSV_HEADER);
    }
    let (first, end) = (first_row(args, file), first_row(args, file + 1));
    let (mut bytes, mut told) = (0_u64, first);
    for number in first..end {
        rows.write(number, &mut buffer);
        if buffer.len() >= BUFFER_BYTES {
            target.write_all(&buffer)?;
            bytes += buffer.len() as u64;
            buffer.clear();
            progress(number + 1 - told);
            told = number + 1;
        }
    }
    target.write_all(&buffer)?;
    progress(end - told);
    Ok(bytes + buffer.len() as u64)
}

/// Number of the first row of a file: files differ by at most one row.
fn first_row(args: &GenerateArgs, file: u32) -> u64 {
    let row = u128::from(args.rows) * u128::from(file) / u128::from(args.files);
    u64::try_from(row).unwrap_or(u64::MAX)
}
