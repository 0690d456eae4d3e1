//! One file, or a few, with the options of the job file and the known answer.

/// Two columns of text.
pub(super) const AB: &str = "schema = { a = \"string\", b = \"string\" }";
/// A number and a text.
pub(super) const TYPED: &str = "schema = { id = \"int64\", name = \"string\" }";
/// Files without a header.
pub(super) const BARE: &str = "header = false";

/// Files, how they are to be read, and what must come of it.
#[derive(Debug, Clone)]
pub struct Case {
    /// What it is about.
    pub name: String,
    /// Names and contents; one file may also be given as the input, several are a directory.
    pub files: Vec<(String, Vec<u8>)>,
    /// Lines of the input in the job file.
    pub lines: Vec<String>,
    /// Over the table `t`.
    pub query: String,
    /// What must come of it.
    pub answer: Answer,
}

/// What must come of a case.
#[derive(Debug, Clone)]
pub enum Answer {
    /// These rows in any order, every value as text; a missing value is `NULL`.
    Rows {
        /// The rows.
        rows: Vec<Vec<String>>,
        /// Types of the columns as a job file names them; `None` where they are not the point.
        types: Option<Vec<String>>,
    },
    /// The job fails.
    Error {
        /// Where.
        place: Place,
        /// What the message has, apart from the place.
        says: Vec<String>,
    },
}

/// Where something is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Name of the file; `None` where no file is to blame.
    pub file: Option<String>,
    /// Physical line, from 1, and byte of the record's start.
    pub record: Option<(u64, u64)>,
    /// Name of the column.
    pub column: Option<String>,
}

/// A record of the first file, by its physical line and its byte.
pub(super) fn record(line: u64, byte: u64) -> Place {
    Place { record: Some((line, byte)), ..whole_file() }
}

/// The first file.
pub(super) fn whole_file() -> Place {
    Place { file: Some("a.csv".to_owned()), record: None, column: None }
}

/// No file.
pub(super) fn nowhere() -> Place {
    Place { file: None, record: None, column: None }
}

impl Place {
    pub(super) fn column(self, name: &str) -> Self {
        Self { column: Some(name.to_owned()), ..self }
    }

    pub(super) fn file(self, name: &str) -> Self {
        Self { file: Some(name.to_owned()), ..self }
    }
}

/// A case without its answer.
#[derive(Debug, Clone)]
pub(super) struct Draft(Case);

/// A case with one file, `a.csv`.
pub(super) fn case(name: impl Into<String>, bytes: impl Into<Vec<u8>>) -> Draft {
    let answer = Answer::Rows { rows: Vec::new(), types: None };
    let case =
        Case { name: name.into(), files: Vec::new(), lines: Vec::new(), query: "SELECT * FROM t".into(), answer };
    Draft(case).file("a.csv", bytes)
}

impl Draft {
    /// One more file.
    pub(super) fn file(mut self, name: &str, bytes: impl Into<Vec<u8>>) -> Self {
        self.0.files.push((name.to_owned(), bytes.into()));
        self
    }

    /// The file under another name.
    pub(super) fn called(mut self, name: &str) -> Self {
        self.0.files.iter_mut().for_each(|file| name.clone_into(&mut file.0));
        self
    }

    /// Lines of the input in the job file.
    pub(super) fn with(mut self, lines: &[&str]) -> Self {
        self.0.lines.extend(lines.iter().map(|line| (*line).to_owned()));
        self
    }

    /// Another schema than the lines before.
    pub(super) fn with_schema(mut self, schema: &str) -> Self {
        self.0.lines.clear();
        self.with(&[schema])
    }

    pub(super) fn query(mut self, query: &str) -> Self {
        query.clone_into(&mut self.0.query);
        self
    }

    pub(super) fn gives<const N: usize>(self, rows: &[[&str; N]]) -> Case {
        self.gives_rows(rows.iter().map(|row| row.iter().map(|value| (*value).to_owned()).collect()).collect())
    }

    pub(super) fn gives_rows(mut self, rows: Vec<Vec<String>>) -> Case {
        self.0.answer = Answer::Rows { rows, types: None };
        self.0
    }

    pub(super) fn gives_nothing(self) -> Case {
        self.gives_rows(Vec::new())
    }

    pub(super) fn fails(mut self, place: Place, says: &[&str]) -> Case {
        self.0.answer = Answer::Error { place, says: says.iter().map(|text| (*text).to_owned()).collect() };
        self.0
    }
}

impl Case {
    /// The types that the columns must have.
    pub(super) fn of_types(mut self, expected: &[&str]) -> Self {
        if let Answer::Rows { types, .. } = &mut self.answer {
            *types = Some(expected.iter().map(|name| (*name).to_owned()).collect());
        }
        self
    }

    /// Bytes of its largest file.
    #[must_use]
    pub fn bytes_max(&self) -> usize {
        self.files.iter().map(|(_, bytes)| bytes.len()).max().unwrap_or(0)
    }
}
