//! Numbers for the values of a column that has few of them, all short.

use super::keys::{fold, is_whole};

const SLOTS: usize = 256;

/// Short texts in the order in which they were first seen, each as the view that holds it.
#[derive(Debug)]
pub struct ShortTexts {
    views: Vec<u128>,
    views_max: usize,
    /// One more than a view's number; 0 where the slot is free.
    slots: [u8; SLOTS],
}

impl ShortTexts {
    /// Texts that get numbers, at most.
    pub const MAX: usize = SLOTS / 4;

    /// None yet, and at most so many; never more than [`ShortTexts::MAX`].
    #[must_use]
    pub fn new(views_max: usize) -> Self {
        Self { views: Vec::new(), views_max: views_max.min(Self::MAX), slots: [0; SLOTS] }
    }

    /// The number of a view; `None` where its text is too long, or one too many.
    #[inline]
    pub fn number(&mut self, view: u128) -> Option<usize> {
        const LOW: u64 = 0x9e37_79b9_7f4a_7c15;
        let mut slot = (fold(view as u64 ^ LOW, (view >> 64) as u64 ^ LOW.rotate_left(32)) >> 56) as usize;
        loop {
            match usize::from(self.slots[slot % SLOTS]) {
                0 => return self.add(view, slot % SLOTS),
                found if self.views[found - 1] == view => return Some(found - 1),
                _ => slot += 1,
            }
        }
    }

    #[cold]
    fn add(&mut self, view: u128, slot: usize) -> Option<usize> {
        if !is_whole(view) || self.views.len() == self.views_max {
            return None;
        }
        self.views.push(view);
        self.slots[slot] = self.views.len() as u8;
        Some(self.views.len() - 1)
    }

    /// By number.
    #[must_use]
    pub fn views(&self) -> &[u128] {
        &self.views
    }
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::array::StringViewArray;
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn equal_texts_have_equal_numbers(texts in prop::collection::vec("[a-c]{0,3}|[a-c]{11,13}", 0..300), views_max in 0..80_usize) {
            let (mut numbers, mut known) = (ShortTexts::new(views_max), Vec::new());
            let array: StringViewArray = texts.iter().map(Some).collect();
            for (text, view) in texts.iter().zip(array.views()) {
                let found = known.iter().position(|known| known == text);
                let is_new = found.is_none() && text.len() <= 12 && known.len() < views_max.min(ShortTexts::MAX);
                if is_new {
                    known.push(text.clone());
                }
                prop_assert_eq!(numbers.number(*view), if is_new { Some(known.len() - 1) } else { found });
            }
            prop_assert_eq!(numbers.views().len(), known.len());
        }
    }
}
