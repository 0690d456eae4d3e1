//! `hearth fs ls`, `cat` and `du`.

use hearth_common::ByteSize;
use hearth_hdfs::Depth;
use serde_json::json;

use super::digest::Chunks;
use super::disks::{Disks, Item};
use super::{ListArgs, PlacesArgs};
use crate::columns::lay_out;
use crate::exit::CliError;
use crate::figures::{count, moment};
use crate::terminal::{say, say_bytes, say_json};

pub(super) async fn list(disks: &Disks, args: ListArgs) -> Result<(), CliError> {
    let depth = if args.recursive { Depth::All } else { Depth::One };
    let mut items = Vec::new();
    for path in &args.paths {
        let item = disks.find(path).await?;
        match item.is_directory {
            true => items.extend(disks.list(path, depth).await?),
            false => items.push(item),
        }
    }
    if args.json {
        return say_json(&json!({ "items": items }));
    }
    if items.is_empty() {
        return Ok(());
    }
    let rows: Vec<_> = items.iter().map(row).collect();
    say(&lay_out(["SIZE", "MODIFIED", "PATH"], &rows))
}

fn row(item: &Item) -> [String; 3] {
    let (size, slash) = if item.is_directory { ("-".to_owned(), "/") } else { (count(item.bytes), "") };
    [size, moment(item.modified_ms), format!("{}{slash}", item.path)]
}

pub(super) async fn print(disks: &Disks, args: PlacesArgs) -> Result<(), CliError> {
    for path in &args.paths {
        if disks.find(path).await?.is_directory {
            return Err(CliError::failed(format!("{path} is a directory")).hint("give its files"));
        }
        let mut chunks = Chunks::open(disks, path).await?;
        while let Some(chunk) = chunks.next().await? {
            say_bytes(&chunk)?;
        }
    }
    Ok(())
}

pub(super) async fn sum(disks: &Disks, args: PlacesArgs) -> Result<(), CliError> {
    let mut sums = Vec::new();
    for path in &args.paths {
        sums.push((path, disks.sum(path).await?));
    }
    if args.json {
        let sums: Vec<_> = sums.iter().map(|(path, sum)| json!({ "path": path.to_string(), "sum": sum })).collect();
        return say_json(&json!({ "sums": sums }));
    }
    let size = |bytes: u64| ByteSize(bytes).to_string();
    let rows: Vec<_> = sums
        .iter()
        .map(|(path, sum)| {
            [size(sum.bytes), size(sum.bytes_on_disk), count(sum.files), count(sum.directories), path.to_string()]
        })
        .collect();
    say(&lay_out(["SIZE", "ON DISK", "FILES", "DIRECTORIES", "PATH"], &rows))
}
