//! Globs over paths: `*`, `?`, `[a-z]`, `[!a]` and `{a,b}` within one path component, as Hadoop has them.

use std::path::{Component as PathComponent, Path};

/// A path of which any component may be a pattern.
#[derive(Debug)]
pub(crate) struct Pattern {
    pub(crate) components: Vec<Component>,
}

/// One component: its text, and the alternatives that each may hold wildcards. A plain name has none.
#[derive(Debug)]
pub(crate) struct Component {
    pub(crate) text: String,
    patterns: Vec<Vec<char>>,
}

const ALTERNATIVES_MAX: usize = 1024;

impl Pattern {
    /// Reads an absolute path. Everything reads as something: a brace without its partner is a plain character.
    pub(crate) fn parse(path: &Path) -> Self {
        let names = path.components().filter_map(|component| match component {
            PathComponent::Normal(name) => Some(name.to_string_lossy().into_owned()),
            PathComponent::RootDir | PathComponent::CurDir | PathComponent::ParentDir | PathComponent::Prefix(_) => {
                None
            }
        });
        Self { components: names.map(Component::parse).collect() }
    }
}

impl Component {
    fn parse(text: String) -> Self {
        let patterns = if text.contains(['*', '?', '[', '{']) { alternatives(&text) } else { Vec::new() };
        let patterns = patterns.iter().map(|pattern| pattern.chars().collect()).collect();
        Self { text, patterns }
    }

    pub(crate) fn is_name(&self) -> bool {
        self.patterns.is_empty()
    }

    pub(crate) fn matches(&self, name: &str) -> bool {
        let characters: Vec<char> = name.chars().collect();
        self.text == name || self.patterns.iter().any(|pattern| matches(pattern, &characters))
    }

    /// The pattern itself begins like a hidden name, so hidden names are meant.
    pub(crate) fn names_hidden(&self) -> bool {
        self.text.starts_with(['.', '_'])
    }
}

/// Writes out `{a,b}`: every combination, up to a limit beyond which braces are plain characters.
fn alternatives(text: &str) -> Vec<String> {
    let mut done = Vec::new();
    let mut open = vec![text.to_owned()];
    while let Some(text) = open.pop() {
        match split_braces(&text) {
            Some((before, choices, after)) if open.len() + done.len() + choices.len() <= ALTERNATIVES_MAX => {
                open.extend(choices.iter().map(|choice| format!("{before}{choice}{after}")));
            }
            Some(_) | None => done.push(text),
        }
    }
    done
}

/// The first innermost pair of braces, and what is around it.
fn split_braces(text: &str) -> Option<(&str, Vec<&str>, &str)> {
    let end = text.find('}')?;
    let start = text[..end].rfind('{')?;
    Some((&text[..start], text[start + 1..end].split(',').collect(), &text[end + 1..]))
}

/// Wildcard matching that goes back to the last `*` only, so it never takes exponential time.
fn matches(pattern: &[char], name: &[char]) -> bool {
    let (mut at, mut position) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while position < name.len() {
        if pattern.get(at) == Some(&'*') {
            star = Some((at + 1, position));
            at += 1;
        } else if let Some(width) = match_one(&pattern[at..], name[position]) {
            at += width;
            position += 1;
        } else if let Some((after_star, from)) = star {
            star = Some((after_star, from + 1));
            (at, position) = (after_star, from + 1);
        } else {
            return false;
        }
    }
    pattern[at..].iter().all(|c| *c == '*')
}

/// Width of the pattern element that takes `c`; `None` where it does not.
fn match_one(pattern: &[char], c: char) -> Option<usize> {
    match pattern.first()? {
        '?' => Some(1),
        '[' => match class_end(pattern) {
            Some(end) => in_class(&pattern[1..end], c).then_some(end + 1),
            None => (c == '[').then_some(1),
        },
        own => (*own == c).then_some(1),
    }
}

fn class_end(pattern: &[char]) -> Option<usize> {
    let first = if matches!(pattern.get(1), Some('!' | '^')) { 3 } else { 2 };
    (first..pattern.len()).find(|index| pattern[*index] == ']')
}

fn in_class(class: &[char], c: char) -> bool {
    let (negated, class) = match class.split_first() {
        Some(('!' | '^', rest)) => (true, rest),
        Some(_) | None => (false, class),
    };
    let mut index = 0;
    let mut inside = false;
    while index < class.len() {
        if index + 2 < class.len() && class[index + 1] == '-' {
            inside |= (class[index]..=class[index + 2]).contains(&c);
            index += 3;
        } else {
            inside |= class[index] == c;
            index += 1;
        }
    }
    inside != negated
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(pattern: &str, matching: &[&str], other: &[&str]) {
        let component = Component::parse(pattern.to_owned());
        for name in matching {
            assert!(component.matches(name), "{pattern} should match {name}");
        }
        for name in other {
            assert!(!component.matches(name), "{pattern} should not match {name}");
        }
    }

    #[test]
    fn matches_as_hadoop_does() {
        check("*.csv", &["a.csv", ".csv", "a.b.csv"], &["a.csv.gz", "csv", "a.CSV"]);
        check("part-?????-*", &["part-00001-x", "part-00001-"], &["part-0001-x"]);
        check("[a-c]x[!0-9]", &["axb", "cx-"], &["dxb", "ax5", "ax"]);
        check("{jan,feb}*.{csv,tsv}", &["jan1.csv", "feb.tsv"], &["mar.csv", "jan.json"]);
        check("a{b{c,d},e}", &["abc", "abd", "ae"], &["abe"]);
        check("a[b", &["a[b"], &["ab"]);
        check("a{b", &["a{b"], &["ab"]);
        check("*a*a*a*a*a*a*b", &[], &["aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"]);
    }
}
