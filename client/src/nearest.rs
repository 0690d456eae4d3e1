//! The known word that somebody probably meant.

/// The candidate nearest to `word`, if any is near enough to be a slip of the finger.
pub fn nearest<'c>(word: &str, candidates: impl IntoIterator<Item = &'c str>) -> Option<&'c str> {
    let word = word.to_ascii_lowercase();
    candidates
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(&word, &candidate.to_ascii_lowercase()), candidate))
        .filter(|(distance, candidate)| *distance <= 2.min(candidate.len() / 2).max(candidate.len() / 3))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(word: &str, expected: Option<&str>) {
        assert_eq!(nearest(word, ["name", "query", "query_file", "inputs", "output"]), expected, "{word}");
    }

    #[test]
    fn finds_slips_and_nothing_else() {
        check("nmae", Some("name"));
        check("input", Some("inputs"));
        check("ouptut", Some("output"));
        check("queryfile", Some("query_file"));
        check("QUERY", Some("query"));
        check("zebra", None);
        check("", None);
    }
}
