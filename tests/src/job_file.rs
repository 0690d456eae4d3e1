//! Writes job files as a user would.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// A job file in the making.
#[derive(Debug, Clone)]
pub struct JobFile {
    name: String,
    query: String,
    inputs: Vec<(String, Vec<String>)>,
    output: Vec<String>,
    settings: Vec<String>,
}

impl JobFile {
    /// A job without inputs, output and settings.
    #[must_use]
    pub fn new(name: &str, query: &str) -> Self {
        let (inputs, output, settings) = (Vec::new(), Vec::new(), Vec::new());
        Self { name: name.to_owned(), query: query.to_owned(), inputs, output, settings }
    }

    /// Adds CSV files with a header, whose columns are inferred.
    #[must_use]
    pub fn csv(self, name: &str, path: &Path) -> Self {
        self.input(name, path, &["format = \"csv\""])
    }

    /// Adds an input: its path, and further lines such as the format and a schema.
    #[must_use]
    pub fn input(mut self, name: &str, path: &Path, lines: &[&str]) -> Self {
        let mut all = vec![format!("path = {}", quoted(&path.to_string_lossy()))];
        all.extend(lines.iter().map(|line| (*line).to_owned()));
        self.inputs.push((name.to_owned(), all));
        self
    }

    /// Sets the output: its path, and further lines such as `mode = "append"`.
    #[must_use]
    pub fn output(mut self, path: &Path, lines: &[&str]) -> Self {
        self.output = vec![format!("path = {}", quoted(&path.to_string_lossy()))];
        self.output.extend(lines.iter().map(|line| (*line).to_owned()));
        self
    }

    /// Adds a line to the settings, such as `split_bytes = "1MiB"`.
    #[must_use]
    pub fn setting(mut self, line: &str) -> Self {
        self.settings.push(line.to_owned());
        self
    }

    /// The text of the file.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = format!("name = {}\nquery = {}\n", quoted(&self.name), quoted(&self.query));
        for (name, lines) in &self.inputs {
            text.push_str(&format!("\n[inputs.{name}]\n{}\n", lines.join("\n")));
        }
        for (section, lines) in [("output", &self.output), ("settings", &self.settings)] {
            if !lines.is_empty() {
                text.push_str(&format!("\n[{section}]\n{}\n", lines.join("\n")));
            }
        }
        text
    }

    /// Writes the file to a directory and returns its path.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn write(&self, directory: &Path) -> Result<PathBuf> {
        let named = tempfile::Builder::new().prefix("job-").suffix(".toml").tempfile_in(directory)?;
        let (_, path) = named.keep().context("keep the job file")?;
        std::fs::write(&path, self.text()).with_context(|| format!("write {}", path.display()))?;
        Ok(path)
    }
}

/// A text as a TOML string.
#[must_use]
pub fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            '\n' => quoted.push_str("\\n"),
            c if c.is_control() => quoted.push_str(&format!("\\u{:04X}", u32::from(c))),
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}
