//! `hearth fs put` and `get`: a file is copied under a hidden name, compared, and then gets its own in one step.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use hearth_common::ByteSize;
use hearth_hdfs::{Content, Depth, Hdfs, HdfsError, HdfsUrl, Overwrite, Upload};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;
use tempfile::NamedTempFile;
use uuid::Uuid;

use super::digest::{Chunks, Digest};
use super::disks::{Disks, Item, hdfs_trouble, local_trouble};
use super::place::Place;
use super::{CopyArgs, resolve};
use crate::exit::{CliError, Exit};
use crate::figures::span;
use crate::terminal::{is_watched, note, say_json};

/// How long an interrupted copy may take to remove what it left.
const CLEARING_MAX: Duration = Duration::from_secs(10);
const SIGINT: u8 = 2;

/// One file to copy.
struct Order {
    from: Place,
    to: Place,
    bytes: u64,
}

/// How files are copied.
#[derive(Clone, Copy)]
struct Manner {
    overwrite: Overwrite,
    replication: Option<u32>,
}

pub(super) async fn run(disks: &Disks, args: CopyArgs) -> Result<(), CliError> {
    let overwrite = if args.overwrite { Overwrite::File } else { Overwrite::Never };
    let manner = Manner { overwrite, replication: args.replication };
    let mut copied = Vec::new();
    for order in orders(disks, &args).await? {
        let begun = Instant::now();
        let digest = copy(disks, &order, manner).await?;
        let Order { from, to, .. } = &order;
        let xxh3 = format!("{:016x}", digest.xxh3);
        if !args.json {
            let (size, time) = (ByteSize(digest.bytes), span(begun.elapsed()));
            note(&format!("{from} -> {to}: {size} in {time}, xxh3 {xxh3}"));
        }
        copied.push(json!({ "from": from.to_string(), "to": to.to_string(), "bytes": digest.bytes, "xxh3": xxh3 }));
    }
    if args.json { say_json(&json!({ "copied": copied })) } else { Ok(()) }
}

/// Every file to copy, checked before the first one is.
async fn orders(disks: &Disks, args: &CopyArgs) -> Result<Vec<Order>, CliError> {
    let mut orders = Vec::new();
    if args.sources.len() > 1 && !resolve(disks, &args.target, "-").await?.to_string().ends_with("/-") {
        return Err(CliError::usage(format!("`{}` is no directory, and there are several files", args.target)));
    }
    for source in &args.sources {
        if *source == Place::Local("-".into()) {
            let to: Place = args.target.parse().map_err(CliError::usage)?;
            if args.target.ends_with('/') || disks.look(&to).await?.is_some_and(|item| item.is_directory) {
                return Err(CliError::usage("standard input has no name; give one in the target"));
            }
            orders.push(Order { from: source.clone(), to, bytes: 0 });
            continue;
        }
        let item = disks.find(source).await?;
        let name = source.name().ok_or_else(|| CliError::usage(format!("{source} has no name")))?;
        let to = resolve(disks, &args.target, &name).await?;
        match (item.is_directory, args.recursive) {
            (false, _) => orders.push(Order { from: source.clone(), to, bytes: item.bytes }),
            (true, true) => orders.extend(orders_below(disks, source, &to).await?),
            (true, false) => {
                return Err(CliError::failed(format!("{source} is a directory")).hint("add --recursive"));
            }
        }
    }
    if args.overwrite {
        return Ok(orders);
    }
    for order in &orders {
        if disks.look(&order.to).await?.is_some() {
            return Err(exists(&order.to));
        }
    }
    Ok(orders)
}

fn exists(place: &Place) -> CliError {
    CliError::failed(format!("{place} exists already")).hint("--overwrite replaces it")
}

/// The files below a directory. What tells that all are there comes last.
async fn orders_below(disks: &Disks, directory: &Place, to: &Place) -> Result<Vec<Order>, CliError> {
    let root = disks.find(directory).await?.path.to_string();
    let below = |item: &Item| {
        let path = item.path.to_string();
        path.strip_prefix(&root).unwrap_or(&path).trim_start_matches('/').to_owned()
    };
    let items = disks.list(directory, Depth::All).await?;
    let mut orders: Vec<Order> = items
        .into_iter()
        .filter(|item| !item.is_directory)
        .map(|item| Order { to: to.join(&below(&item)), bytes: item.bytes, from: item.path })
        .collect();
    orders.sort_by_key(|order| order.from.name().as_deref() == Some("_SUCCESS"));
    Ok(orders)
}

async fn copy(disks: &Disks, order: &Order, manner: Manner) -> Result<Digest, CliError> {
    let Some(parent) = order.to.parent() else {
        return Err(CliError::usage(format!("{} is a root", order.to)));
    };
    disks.make_directories(&parent).await?;
    match &order.to {
        Place::Local(path) => to_local(disks, order, path, manner.overwrite).await,
        Place::Hdfs(url) => {
            let hdfs = disks.hdfs(url)?;
            let hidden = format!(".{}.{}", order.to.name().unwrap_or_default(), Uuid::new_v4().simple());
            tokio::select! {
                copied = to_hdfs(disks, order, (&hdfs, url, &hidden), manner) => copied,
                _ = tokio::signal::ctrl_c() => {
                    let _ = tokio::time::timeout(CLEARING_MAX, clear(&hdfs, url, &hidden)).await;
                    Err(CliError::new(Exit::Signal(SIGINT), format!("interrupted; {url} was not written")))
                }
            }
        }
    }
}

/// A bar for people who look, that shows nothing to others.
fn bar(order: &Order, verb: &str) -> ProgressBar {
    let template = "{msg}  [{bar:30}] {binary_bytes}/{binary_total_bytes}  {binary_bytes_per_sec}";
    let bar = if is_watched() { ProgressBar::new(order.bytes) } else { ProgressBar::hidden() };
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style.progress_chars("=> "));
    }
    bar.set_message(format!("{verb} {}", order.from.name().unwrap_or_default()));
    bar
}

async fn to_local(disks: &Disks, order: &Order, path: &Path, overwrite: Overwrite) -> Result<Digest, CliError> {
    let trouble = |error: std::io::Error| local_trouble("write", path, &error);
    let directory = match order.to.parent() {
        Some(Place::Local(directory)) => directory,
        Some(Place::Hdfs(_)) | None => PathBuf::from("."),
    };
    let permissions = std::os::unix::fs::PermissionsExt::from_mode(0o666);
    let hidden = tempfile::Builder::new().prefix(".").suffix(".part").permissions(permissions).tempfile_in(directory);
    let mut hidden = hidden.map_err(trouble)?;
    let shown = bar(order, "fetching");
    let sent = Chunks::open(disks, &order.from).await?;
    let sent = sent.pour(Some(hidden.as_file_mut()), &|bytes| shown.set_position(bytes)).await;
    shown.finish_and_clear();
    let sent = sent?;
    hidden.as_file().sync_all().map_err(trouble)?;
    let stored = Chunks::open(disks, &Place::Local(hidden.path().to_owned())).await?.pour(None, &|_| ()).await?;
    compare(order, sent, stored)?;
    let kept = match overwrite {
        Overwrite::Never => hidden.persist_noclobber(path),
        Overwrite::File => hidden.persist(path),
    };
    match kept {
        Ok(_) => Ok(sent),
        Err(error) if error.error.kind() == std::io::ErrorKind::AlreadyExists => Err(exists(&order.to)),
        Err(error) => Err(trouble(error.error)),
    }
}

async fn to_hdfs(
    disks: &Disks,
    order: &Order,
    (hdfs, url, hidden): (&Hdfs, &HdfsUrl, &str),
    manner: Manner,
) -> Result<Digest, CliError> {
    // What is sent must be at hand until it is there, because a write that fails begins again.
    let is_at_hand = matches!(&order.from, Place::Local(path) if path.is_file());
    let mut spool = if is_at_hand { None } else { Some(NamedTempFile::new().map_err(CliError::from)?) };
    let source = Chunks::open(disks, &order.from).await?;
    let sent = source.pour(spool.as_mut().map(NamedTempFile::as_file_mut), &|_| ()).await?;
    let content = match (&spool, &order.from) {
        (Some(spool), _) => spool.path().to_owned(),
        (None, Place::Local(path)) => path.clone(),
        (None, Place::Hdfs(_)) => return Err(CliError::failed("there is nothing to send")),
    };
    let part = url.parent().map_or_else(|| url.clone(), |parent| parent.join_unchecked(hidden));
    let shown = bar(&Order { from: order.from.clone(), to: order.to.clone(), bytes: sent.bytes }, "sending");
    let progress = |bytes: u64| shown.set_position(bytes);
    let upload = Upload { replication: manner.replication, progress: &progress, ..Upload::new(Content::File(content)) };
    let uploaded = hdfs.upload(&part, &upload).await.map_err(hdfs_trouble);
    shown.set_message("comparing");
    let compared = match uploaded {
        Ok(_) => match Chunks::open(disks, &Place::Hdfs(part.clone())).await {
            Ok(stored) => stored.pour(None, &progress).await.and_then(|stored| compare(order, sent, stored)),
            Err(error) => Err(error),
        },
        Err(error) => Err(error),
    };
    shown.finish_and_clear();
    let renamed = match compared {
        Ok(()) => {
            let renamed = hdfs.wait_quietly(|| hdfs.rename(&part, url, manner.overwrite)).await;
            renamed.map_err(|error| match matches!(error, HdfsError::Exists { .. }) {
                true => exists(&order.to),
                false => hdfs_trouble(error),
            })
        }
        Err(error) => Err(error),
    };
    if renamed.is_err() {
        clear(hdfs, url, hidden).await;
    }
    renamed.map(|()| sent)
}

fn compare(order: &Order, sent: Digest, stored: Digest) -> Result<(), CliError> {
    if sent == stored {
        return Ok(());
    }
    let message = format!(
        "{} has {} bytes with XXH3 {:016x}, but {} with {:016x} arrived: it changed meanwhile, or was damaged on its way",
        order.from, sent.bytes, sent.xxh3, stored.bytes, stored.xxh3
    );
    Err(CliError::failed(message).hint("try again; nothing was written"))
}

/// Removes what a copy left under hidden names, as far as that is possible now.
async fn clear(hdfs: &Hdfs, url: &HdfsUrl, hidden: &str) {
    let Some(directory) = url.parent() else { return };
    let Ok(entries) = hdfs.list_all(&directory, Depth::One, usize::MAX).await else { return };
    for entry in entries.into_iter().filter(|entry| entry.path.contains(hidden)) {
        if let Ok(left) = directory.with_path(&entry.path)
            && let Err(error) = hdfs.remove(&left, Depth::One).await
        {
            note(&format!("could not remove {left}: {error}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_arrived_is_compared() {
        let order = Order { from: Place::Local("a".into()), to: Place::Local("b".into()), bytes: 3 };
        let sent = Digest { bytes: 3, xxh3: 5 };
        assert!(compare(&order, sent, sent).is_ok());
        for arrived in [Digest { bytes: 2, ..sent }, Digest { xxh3: 6, ..sent }] {
            let told = format!("{:?}", compare(&order, sent, arrived).unwrap_err());
            assert!(told.contains("a has 3 bytes with XXH3 0000000000000005"), "{told}");
        }
    }

    #[tokio::test]
    async fn what_tells_that_all_is_there_comes_last() {
        let directory = tempfile::tempdir().unwrap();
        for name in ["_SUCCESS", "a", "z/b"] {
            std::fs::create_dir_all(directory.path().join(name).parent().unwrap()).unwrap();
            std::fs::write(directory.path().join(name), name).unwrap();
        }
        let from = Place::Local(directory.path().to_owned());
        let disks = Disks::new(hearth_hdfs::HdfsSettings::default());
        let orders = orders_below(&disks, &from, &Place::Local("/to".into())).await.unwrap();
        let targets: Vec<String> = orders.iter().map(|order| order.to.to_string()).collect();
        assert_eq!(targets, ["/to/a", "/to/z/b", "/to/_SUCCESS"]);
    }
}
