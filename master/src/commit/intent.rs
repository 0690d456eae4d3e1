//! The record of a commit: which files become visible, and under which names. Written to the store before anything moves.

use std::collections::BTreeSet;

use hearth_common::{ClaimId, InputRecords, JobId, OutputFile, OutputMode, OutputSpec, OutputStatus, RejectsFile};
use serde::{Deserialize, Serialize};

use super::{CommitError, Staging};

/// Name of the file that seals an output.
pub(super) const SUCCESS: &str = "_SUCCESS";

/// Directory of the rejects below an output. Readers skip it, because of the underscore.
const REJECTS: &str = "_rejects";

/// What a commit will make visible.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct CommitIntent {
    /// The job.
    pub job: JobId,
    /// The output directory, as a URL.
    pub destination: String,
    /// What to do with an existing one.
    pub mode: OutputMode,
    /// The winners' files.
    pub files: Vec<IntendedFile>,
    /// The winners' rejects, in one file.
    pub rejects: Option<IntendedFile>,
    /// What became of the records of the inputs.
    pub inputs: Vec<InputRecords>,
    /// The claims to the staging, of which the last one holds; the others are of masters before.
    #[serde(default)]
    pub claims: Vec<ClaimId>,
}

/// One file of a commit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct IntendedFile {
    /// Name below `attempts/`.
    pub staged: String,
    /// Path below the output directory.
    pub target: String,
    /// Rows in it.
    pub rows: u64,
    /// Its size, in bytes.
    pub bytes: u64,
}

/// The content of `_SUCCESS`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Seal {
    pub(super) job: JobId,
    pub(super) rows: u64,
    pub(super) files: u64,
    pub(super) bytes: u64,
    /// What became of the records of the inputs.
    #[serde(default)]
    pub(super) inputs: Vec<InputRecords>,
    /// Where the rejects are, below the output directory.
    #[serde(default)]
    pub(super) rejects: Option<String>,
}

impl CommitIntent {
    /// Names the winners' files, in the order of their tasks.
    pub(crate) fn new(job: JobId, output: &OutputSpec, winners: &[OutputFile]) -> Result<Self, CommitError> {
        let staging = Staging::of(job, &output.path)?;
        let mut files = Vec::with_capacity(winners.len());
        let mut staged = BTreeSet::new();
        for (number, file) in winners.iter().enumerate() {
            check_file(file)?;
            if !staged.insert(file.staged.as_str()) {
                return Err(CommitError::Report(format!("`{}` was reported twice", file.staged)));
            }
            let name = format!("part-{number:05}-{job}.{}", file.extension);
            let target = if file.directory.is_empty() { name } else { format!("{}/{name}", file.directory) };
            files.push(IntendedFile { staged: file.staged.clone(), target, rows: file.rows, bytes: file.bytes });
        }
        Ok(Self {
            job,
            destination: staging.destination().url(),
            mode: output.mode,
            files,
            rejects: None,
            inputs: Vec::new(),
            claims: Vec::new(),
        })
    }

    /// The same, claimed anew: to be recorded before it is carried out.
    pub(crate) fn claimed(mut self) -> Self {
        self.claims.push(ClaimId::generate());
        self
    }

    /// Adds the rejects of the winners, which stand in one staged file.
    pub(crate) fn set_rejects(&mut self, file: RejectsFile) {
        let RejectsFile { staged, rows, bytes } = file;
        let target = format!("{REJECTS}/rejects-{}.parquet", self.job);
        self.rejects = Some(IntendedFile { staged, target, rows, bytes });
    }

    /// Everything that becomes visible.
    pub(super) fn all_files(&self) -> impl Iterator<Item = &IntendedFile> {
        self.files.iter().chain(&self.rejects)
    }

    /// Where the files are now.
    pub(crate) fn staging(&self) -> Result<Staging, CommitError> {
        Ok(Staging::of(self.job, &self.destination)?.claimed(&self.claims))
    }

    /// The directories below the output directory that files go to, without the output directory itself.
    pub(super) fn directories(&self) -> BTreeSet<&str> {
        self.all_files().filter_map(|file| file.target.rsplit_once('/')).map(|(directory, _)| directory).collect()
    }

    /// The output as people see it once it is visible.
    pub(crate) fn output(&self) -> OutputStatus {
        let Seal { rows, files, bytes, rejects, .. } = self.seal();
        let path = self.destination.strip_prefix("file://").unwrap_or(&self.destination).to_owned();
        let rejects = rejects.map(|below| format!("{path}/{below}"));
        OutputStatus { path, files, rows, bytes, rejects }
    }

    pub(super) fn seal(&self) -> Seal {
        Seal {
            job: self.job,
            rows: self.files.iter().map(|file| file.rows).sum(),
            files: self.files.len() as u64,
            bytes: self.files.iter().map(|file| file.bytes).sum(),
            inputs: self.inputs.clone(),
            rejects: self.rejects.as_ref().map(|file| file.target.clone()),
        }
    }
}

/// A report came over the network: its names must not lead anywhere else.
fn check_file(file: &OutputFile) -> Result<(), CommitError> {
    let refuse = |what: &str, value: &str| Err(CommitError::Report(format!("{what} `{}`", value.escape_debug())));
    if !is_component(&file.staged) {
        return refuse("name", &file.staged);
    }
    let directory_fits =
        file.directory.is_empty() || file.directory.split('/').all(|part| is_component(part) && part.contains('='));
    if !directory_fits {
        return refuse("directory", &file.directory);
    }
    let extension_fits =
        !file.extension.is_empty() && file.extension.chars().all(|c| c.is_ascii_alphanumeric() || c == '.');
    if !extension_fits || file.extension.contains("..") {
        return refuse("extension", &file.extension);
    }
    Ok(())
}

fn is_component(name: &str) -> bool {
    !name.is_empty() && name != "." && name != ".." && !name.contains(['/', '\0'])
}

#[cfg(test)]
mod tests {
    use hearth_common::{ByteSize, Compression, OutputFormat};

    use super::*;

    fn output(path: &str) -> OutputSpec {
        OutputSpec {
            path: path.to_owned(),
            format: OutputFormat::Parquet,
            mode: OutputMode::Error,
            partition_by: Vec::new(),
            compression: Compression::Zstd,
            file_bytes_max: ByteSize::mib(64),
        }
    }

    fn file(staged: &str, directory: &str, extension: &str) -> OutputFile {
        OutputFile {
            staged: staged.to_owned(),
            directory: directory.to_owned(),
            extension: extension.to_owned(),
            rows: 2,
            bytes: 10,
        }
    }

    #[test]
    fn numbers_files_in_order() {
        let job = JobId::from_u128(7);
        let winners = [file("a", "", "parquet"), file("b", "day=1/k=x", "csv")];
        let intent = CommitIntent::new(job, &output("/data/out"), &winners).unwrap();
        let targets: Vec<_> = intent.files.iter().map(|file| file.target.as_str()).collect();
        assert_eq!(targets, [format!("part-00000-{job}.parquet"), format!("day=1/k=x/part-00001-{job}.csv")]);
        let expected = OutputStatus { path: "/data/out".to_owned(), files: 2, rows: 4, bytes: 20, rejects: None };
        assert_eq!(intent.output(), expected);
    }

    #[test]
    fn rejects_are_beside_the_rows_and_no_rows() {
        let job = JobId::from_u128(7);
        let mut intent = CommitIntent::new(job, &output("/data/out"), &[file("a", "", "parquet")]).unwrap();
        intent.set_rejects(RejectsFile { staged: "rejects".into(), rows: 3, bytes: 300 });
        let target = format!("_rejects/rejects-{job}.parquet");
        let status = intent.output();
        assert_eq!((status.rows, status.files, status.bytes), (2, 1, 10));
        assert_eq!(status.rejects, Some(format!("/data/out/{target}")));
        assert_eq!(intent.seal().rejects, Some(target));
        assert_eq!(intent.directories(), BTreeSet::from(["_rejects"]));
    }

    #[test]
    fn refuses_names_that_lead_elsewhere() {
        for (staged, directory, extension) in [
            ("", "", "parquet"),
            ("..", "", "parquet"),
            ("a/b", "", "parquet"),
            ("/etc/passwd", "", "parquet"),
            ("a\0", "", "parquet"),
            ("a", "../x=1", "parquet"),
            ("a", "/x=1", "parquet"),
            ("a", "x=1//y=2", "parquet"),
            ("a", "plain", "parquet"),
            ("a", "", ""),
            ("a", "", "../x"),
            ("a", "", "p/q"),
        ] {
            let refused =
                CommitIntent::new(JobId::from_u128(7), &output("/out"), &[file(staged, directory, extension)]);
            assert!(matches!(refused, Err(CommitError::Report(_))), "{staged:?} {directory:?} {extension:?}");
        }
        let twice = [file("a", "", "csv"), file("a", "", "csv")];
        assert!(CommitIntent::new(JobId::from_u128(7), &output("/out"), &twice).is_err());
    }
}
