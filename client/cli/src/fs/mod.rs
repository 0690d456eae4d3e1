//! `hearth fs`: files of this machine and of HDFS, for whoever has no Hadoop client at hand.

mod change;
mod copy;
mod digest;
mod disks;
mod place;
mod show;

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand};
use hearth_hdfs::HdfsSettings;

use crate::exit::{CliError, Exit};
use disks::Disks;
use place::Place;

const EXAMPLES: &str = "\
Examples:
  hearth fs ls hdfs://nn:9000/reports
  hearth fs put actions.csv hdfs://nn:9000/raw/date=2026-01-15/
  hearth fs get --recursive hdfs://nn:9000/reports/2026-01-15 .
  hearth fs du hdfs://ns/raw hdfs://ns/reports

Places are paths of this machine, or hdfs://HOST:PORT/PATH and hdfs://NAMESERVICE/PATH. HADOOP_CONF_DIR and HADOOP_USER_NAME
count as they do for Hadoop's own clients. Globs are the shell's.
Exit codes: 0 done, 1 not done, 2 usage";

/// What to do with files.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES, arg_required_else_help = true)]
pub(crate) struct FsArgs {
    #[command(subcommand)]
    command: FsCommand,

    /// Directory of Hadoop's core-site.xml and hdfs-site.xml [default: HADOOP_CONF_DIR].
    #[arg(long, global = true, value_name = "DIR")]
    conf_dir: Option<PathBuf>,

    /// User of a cluster without Kerberos [default: HADOOP_USER_NAME, else you].
    #[arg(long, global = true, value_name = "NAME")]
    user: Option<String>,

    /// How long a NameNode that does not answer, or is in safe mode, is waited for.
    #[arg(long, global = true, value_name = "DURATION", default_value = "5m", value_parser = hearth_common::duration::parse_duration)]
    wait: Duration,
}

#[derive(Debug, Subcommand)]
enum FsCommand {
    /// Lists files and directories.
    #[command(after_help = "Example:\n  hearth fs ls hdfs://nn:9000/raw --recursive")]
    Ls(ListArgs),
    /// Writes files to standard output, one after the other.
    #[command(after_help = "Example:\n  hearth fs cat hdfs://nn:9000/reports/2026-01-15/_SUCCESS")]
    Cat(PlacesArgs),
    /// Copies files of this machine, most often to HDFS. Each appears whole or not at all, after its checksum was compared.
    #[command(after_help = PUT_EXAMPLES)]
    Put(CopyArgs),
    /// Copies files to this machine, most often from HDFS. Each appears whole or not at all, after its checksum was compared.
    #[command(after_help = GET_EXAMPLES)]
    Get(CopyArgs),
    /// Removes files, and directories with --recursive. There is no trash.
    #[command(after_help = "Example:\n  hearth fs rm --recursive hdfs://nn:9000/raw/date=2025-01-15")]
    Rm(RemoveArgs),
    /// Renames a file or directory in one step. What stands under the new name is not replaced.
    #[command(after_help = "Example:\n  hearth fs mv hdfs://nn:9000/raw/new hdfs://nn:9000/raw/date=2026-01-15")]
    Mv(MoveArgs),
    /// Adds up what is below files and directories.
    #[command(after_help = "Example:\n  hearth fs du hdfs://nn:9000/raw")]
    Du(PlacesArgs),
}

const PUT_EXAMPLES: &str = "\
Examples:
  hearth fs put a.csv b.csv hdfs://nn:9000/raw/date=2026-01-15/
  hearth fs put --recursive ./raw hdfs://nn:9000/data
  curl -s https://example.org/a.csv | hearth fs put - hdfs://nn:9000/raw/a.csv

A target that is a directory, or ends with `/`, gets the files under their own names; directories above it are made.
A file is sent under a hidden name, read back, and renamed when both checksums (XXH3) are equal.";

const GET_EXAMPLES: &str = "\
Examples:
  hearth fs get hdfs://nn:9000/reports/2026-01-15/_SUCCESS .
  hearth fs get --recursive hdfs://nn:9000/reports/2026-01-15 ./reports";

/// What to list.
#[derive(Debug, Args)]
struct ListArgs {
    /// Files or directories.
    #[arg(value_name = "PATH", required = true)]
    paths: Vec<Place>,

    /// Also what is below directories.
    #[arg(long, short)]
    recursive: bool,

    /// Prints one JSON document.
    #[arg(long)]
    json: bool,
}

/// Some places.
#[derive(Debug, Args)]
struct PlacesArgs {
    /// Files or directories.
    #[arg(value_name = "PATH", required = true)]
    paths: Vec<Place>,

    /// Prints one JSON document (du).
    #[arg(long)]
    json: bool,
}

/// What to copy.
#[derive(Debug, Args)]
struct CopyArgs {
    /// What to copy; `-` is standard input.
    #[arg(value_name = "SOURCE", required = true)]
    sources: Vec<Place>,

    /// Where to: a name, or a directory.
    #[arg(value_name = "TARGET")]
    target: String,

    /// Copies directories with all below them.
    #[arg(long, short)]
    recursive: bool,

    /// Replaces files that are there, each in one step.
    #[arg(long)]
    overwrite: bool,

    /// Replicas of new files in HDFS [default: of the cluster].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=512))]
    replication: Option<u32>,

    /// Prints one JSON document.
    #[arg(long)]
    json: bool,
}

/// What to remove.
#[derive(Debug, Args)]
struct RemoveArgs {
    /// Files or directories.
    #[arg(value_name = "PATH", required = true)]
    paths: Vec<Place>,

    /// Removes directories with all below them.
    #[arg(long, short)]
    recursive: bool,

    /// What is not there is fine.
    #[arg(long, short)]
    force: bool,
}

/// What to rename.
#[derive(Debug, Args)]
struct MoveArgs {
    /// What to rename.
    #[arg(value_name = "FROM")]
    from: Place,

    /// The new name, or a directory to move it into; in the same HDFS, or on this machine.
    #[arg(value_name = "TO")]
    to: String,
}

pub(crate) async fn run(args: FsArgs) -> Result<Exit, CliError> {
    let FsArgs { command, conf_dir, user, wait } = args;
    let settings = HdfsSettings { conf_dir, user, wait_for_namenode: wait, ..HdfsSettings::default() };
    let disks = Disks::new(settings);
    disks.tell_waits();
    match command {
        FsCommand::Ls(args) => show::list(&disks, args).await,
        FsCommand::Cat(args) => show::print(&disks, args).await,
        FsCommand::Du(args) => show::sum(&disks, args).await,
        FsCommand::Put(args) | FsCommand::Get(args) => copy::run(&disks, args).await,
        FsCommand::Rm(args) => change::remove(&disks, args).await,
        FsCommand::Mv(args) => change::rename(&disks, args).await,
    }
    .map(|()| Exit::Done)
}

/// Where something is to go that is called `name`: into a directory, or under a name of its own.
async fn resolve(disks: &Disks, target: &str, name: &str) -> Result<Place, CliError> {
    let place: Place =
        target.parse().map_err(|problem| CliError::usage(format!("cannot use `{target}`: {problem}")))?;
    let is_directory = target.ends_with('/') || disks.look(&place).await?.is_some_and(|item| item.is_directory);
    Ok(if is_directory { place.join(name) } else { place })
}
