//! Texts that are copied one behind another.

/// What most texts are no longer than, in bytes.
const COPIED_BYTES: usize = 32;
const WORD: usize = size_of::<u64>();

/// Appends the first `length` bytes of `text`.
///
/// A copy whose length the compiler knows is cheaper than one of the right length, so a short text is copied with what follows it.
#[inline]
pub fn append_text(bytes: &mut Vec<u8>, text: &[u8], length: usize) {
    match text.first_chunk::<COPIED_BYTES>() {
        Some(more) if length <= COPIED_BYTES => append_start(bytes, more, length),
        Some(_) | None => bytes.extend_from_slice(&text[..length]),
    }
}

/// The same for a text that is stored in words.
#[inline]
pub(crate) fn append_words(bytes: &mut Vec<u8>, text: &[u64], length: usize) {
    match text.first_chunk::<{ COPIED_BYTES / WORD }>() {
        Some(words) if length <= COPIED_BYTES => {
            let mut more = [0; COPIED_BYTES];
            for (more, word) in more.as_chunks_mut().0.iter_mut().zip(words) {
                *more = word.to_le_bytes();
            }
            append_start(bytes, &more, length);
        }
        Some(_) | None => {
            let end = bytes.len() + length;
            bytes.extend(text[..length.div_ceil(WORD)].iter().flat_map(|word| word.to_le_bytes()));
            bytes.truncate(end);
        }
    }
}

/// Appends the text that a view holds itself.
#[inline]
pub fn append_inline(bytes: &mut Vec<u8>, view: u128) {
    const LENGTH: usize = size_of::<u32>();
    if let Some(text) = view.to_le_bytes()[LENGTH..].first_chunk::<{ size_of::<u128>() - LENGTH }>() {
        append_start(bytes, text, view as u32 as usize);
    }
}

#[inline]
fn append_start<const N: usize>(bytes: &mut Vec<u8>, text: &[u8; N], length: usize) {
    let end = bytes.len() + length;
    bytes.extend_from_slice(text);
    bytes.truncate(end);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn nothing_but_the_texts_is_appended(texts in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..50), 0..20)) {
            let stored = texts.concat();
            let (mut copied, mut start) = (Vec::new(), 0);
            for text in &texts {
                append_text(&mut copied, &stored[start..], text.len());
                start += text.len();
            }
            prop_assert_eq!(&copied, &stored);
        }

        #[test]
        fn words_give_the_bytes_they_are_made_of(text in prop::collection::vec(any::<u8>(), 0..60), more in 0..6_usize) {
            let mut padded = text.clone();
            padded.resize(text.len().next_multiple_of(WORD) + more * WORD, 9);
            let words: Vec<u64> = padded.as_chunks().0.iter().map(|word| u64::from_le_bytes(*word)).collect();
            let mut copied = vec![7];
            append_words(&mut copied, &words, text.len());
            prop_assert_eq!(&copied[1..], &text);
        }

        #[test]
        fn a_view_gives_its_text_alone(text in prop::collection::vec(any::<u8>(), 0..=12)) {
            let mut view = [0; 16];
            view[..4].copy_from_slice(&(text.len() as u32).to_le_bytes());
            view[4..][..text.len()].copy_from_slice(&text);
            let mut copied = vec![7];
            append_inline(&mut copied, u128::from_le_bytes(view));
            prop_assert_eq!(&copied[1..], &text);
        }
    }
}
