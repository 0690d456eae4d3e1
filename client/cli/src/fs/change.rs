//! `hearth fs rm` and `mv`.

use std::io;

use hearth_hdfs::{Depth, HdfsError, Overwrite, Removed};

use super::disks::{Disks, hdfs_trouble, local_trouble, missing};
use super::place::Place;
use super::{MoveArgs, RemoveArgs, resolve};
use crate::exit::CliError;

pub(super) async fn remove(disks: &Disks, args: RemoveArgs) -> Result<(), CliError> {
    for path in &args.paths {
        if path.name().is_none() {
            return Err(CliError::usage(format!("{path} is a root; it is not removed")));
        }
    }
    for path in &args.paths {
        if remove_one(disks, path, args.recursive).await? == Removed::WasMissing && !args.force {
            return Err(missing(path));
        }
    }
    Ok(())
}

async fn remove_one(disks: &Disks, place: &Place, recursive: bool) -> Result<Removed, CliError> {
    let is_directory = || CliError::failed(format!("{place} is a directory")).hint("add --recursive");
    match place {
        Place::Local(path) => {
            let is_real_directory = std::fs::symlink_metadata(path).is_ok_and(|metadata| metadata.is_dir());
            let removed = match (is_real_directory, recursive) {
                (true, true) => std::fs::remove_dir_all(path),
                (true, false) => return Err(is_directory()),
                (false, _) => std::fs::remove_file(path),
            };
            match removed {
                Ok(()) => Ok(Removed::Done),
                Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Removed::WasMissing),
                Err(error) => Err(local_trouble("remove", path, &error)),
            }
        }
        Place::Hdfs(url) => {
            let hdfs = disks.hdfs(url)?;
            if !recursive && disks.look(place).await?.is_some_and(|item| item.is_directory) {
                return Err(is_directory());
            }
            let depth = if recursive { Depth::All } else { Depth::One };
            hdfs.wait_quietly(|| hdfs.remove(url, depth)).await.map_err(hdfs_trouble)
        }
    }
}

pub(super) async fn rename(disks: &Disks, args: MoveArgs) -> Result<(), CliError> {
    let MoveArgs { from, to: target } = args;
    let Some(name) = from.name() else {
        return Err(CliError::usage(format!("{from} is a root; it has no other name")));
    };
    let elsewhere =
        || CliError::usage("both names must be in the same HDFS, or on this machine").hint("use put or get, then rm");
    let place: Place = target.parse().map_err(CliError::usage)?;
    if matches!((&from, &place), (Place::Local(_), Place::Hdfs(_)) | (Place::Hdfs(_), Place::Local(_))) {
        return Err(elsewhere());
    }
    disks.find(&from).await?;
    let to = resolve(disks, &target, &name).await?;
    match (&from, &to) {
        (Place::Local(old), Place::Local(new)) => {
            use rustix::fs::{CWD, RenameFlags, renameat_with};
            let renamed = renameat_with(CWD, old, CWD, new, RenameFlags::NOREPLACE).map_err(io::Error::from);
            renamed.map_err(|error| local_trouble(&format!("rename {from} to"), new, &error))
        }
        (Place::Hdfs(old), Place::Hdfs(new)) => {
            if old.authority() != new.authority() {
                return Err(elsewhere());
            }
            let hdfs = disks.hdfs(old)?;
            let renamed = hdfs.wait_quietly(|| hdfs.rename(old, new, Overwrite::Never)).await;
            renamed.map_err(|error| match matches!(error, HdfsError::Exists { .. }) {
                true => CliError::failed(format!("{new} exists already")),
                false => hdfs_trouble(error),
            })
        }
        (Place::Local(_), Place::Hdfs(_)) | (Place::Hdfs(_), Place::Local(_)) => Err(elsewhere()),
    }
}
