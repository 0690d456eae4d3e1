//! The nearest of the names that would have been right, for error messages.

/// A name further away than this is no help.
const SIMILARITY_MIN: f64 = 0.6;
/// More names are not listed.
const LISTED_MAX: usize = 10;

/// The one of `names` that is most like `name`, if any is.
pub(super) fn nearest<'a>(name: &str, names: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let wanted = name.to_lowercase();
    let likeness = |known: &str| strsim::normalized_damerau_levenshtein(&wanted, &known.to_lowercase());
    names
        .into_iter()
        .map(|known| (likeness(known), known))
        .filter(|(likeness, _)| *likeness >= SIMILARITY_MIN)
        .max_by(|one, other| one.0.total_cmp(&other.0))
        .map(|(_, known)| known)
}

/// `` `a`, `b` and 3 more ``.
pub(super) fn list_names<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    let names: Vec<String> = names.into_iter().map(|name| format!("`{name}`")).collect();
    match names.len().checked_sub(LISTED_MAX) {
        Some(more) if more > 0 => format!("{} and {more} more", names[..LISTED_MAX].join(", ")),
        Some(_) | None => names.join(", "),
    }
}
