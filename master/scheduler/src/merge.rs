//! Groups neighbouring shuffle partitions by their actual bytes, so that small results become few tasks.

use std::ops::Range;

/// Tasks this small are not worth having more of.
const TASK_BYTES_MIN: u64 = 4 << 20;

/// The limit for [`group_partitions`] with which every slot gets a task, if that is not too small; `merge_bytes` at most.
pub(crate) fn limit_for(partition_bytes: &[u64], slots: u64, merge_bytes: u64) -> u64 {
    let total = partition_bytes.iter().fold(0_u64, |total, bytes| total.saturating_add(*bytes));
    let largest = partition_bytes.iter().copied().max().unwrap_or_default();
    // No group but the last is smaller than the limit less one partition: so there are never more groups than slots.
    let per_slot = (total / slots.max(1)).saturating_add(largest);
    merge_bytes.min(per_slot.max(TASK_BYTES_MIN))
}

/// Cuts the shuffle partitions into ranges of at most `merge_bytes` each.
///
/// Every partition is in exactly one range, and ranges are in order. One partition above the limit has a range without
/// other data. Empty partitions never begin a new range.
pub(crate) fn group_partitions(partition_bytes: &[u64], merge_bytes: u64) -> Vec<Range<u32>> {
    let mut groups = Vec::new();
    let (mut start, mut end, mut group_bytes) = (0, 0, 0_u64);
    for &bytes in partition_bytes {
        if bytes > 0 && group_bytes > 0 && group_bytes.saturating_add(bytes) > merge_bytes {
            groups.push(start..end);
            (start, group_bytes) = (end, 0);
        }
        group_bytes = group_bytes.saturating_add(bytes);
        end += 1;
    }
    groups.push(start..end);
    groups
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(partition_bytes: &[u64], merge_bytes: u64, expected: &[(u32, u32)]) {
        let groups = group_partitions(partition_bytes, merge_bytes);
        assert!(groups.iter().map(|group| (group.start, group.end)).eq(expected.iter().copied()), "{groups:?}");
    }

    #[test]
    fn groups_neighbours_up_to_the_limit() {
        check(&[10], 100, &[(0, 1)]);
        check(&[0, 0, 0], 100, &[(0, 3)]);
        check(&[40, 60, 1, 99, 100], 100, &[(0, 2), (2, 4), (4, 5)]);
        check(&[10, 10, 10], 0, &[(0, 1), (1, 2), (2, 3)]);
    }

    #[test]
    fn a_partition_above_the_limit_stands_alone() {
        check(&[10, 500, 10, 10], 100, &[(0, 1), (1, 2), (2, 4)]);
        check(&[u64::MAX, u64::MAX], 100, &[(0, 1), (1, 2)]);
    }

    #[test]
    fn empty_partitions_make_no_task() {
        check(&[0, 500, 0, 0, 10, 0], 100, &[(0, 4), (4, 6)]);
    }

    #[test]
    fn every_slot_gets_a_task_that_is_worth_it() {
        let mib = 1 << 20;
        for (partitions, slots, merge_bytes, expected) in [
            (vec![mib; 40], 2, 64 * mib, 21 * mib),
            (vec![mib; 40], 100, 64 * mib, 4 * mib),
            (vec![mib; 400], 2, 64 * mib, 64 * mib),
            (vec![mib; 40], 2, mib / 2, mib / 2),
            (vec![100 * mib, mib], 4, 64 * mib, 64 * mib),
            (vec![], 0, 64 * mib, 4 * mib),
        ] {
            assert_eq!(limit_for(&partitions, slots, merge_bytes), expected, "{partitions:?} {slots}");
        }
    }

    proptest! {
        #[test]
        fn there_are_not_more_tasks_than_slots(bytes in prop::collection::vec(0..200_u64 << 20, 1..50), slots in 1..20_u64) {
            let groups = group_partitions(&bytes, limit_for(&bytes, slots, u64::MAX));
            prop_assert!(groups.len() as u64 <= slots, "{} groups", groups.len());
        }

        #[test]
        fn every_partition_is_in_one_group(bytes in prop::collection::vec(0..200_u64, 1..50), limit in 0..300_u64) {
            let groups = group_partitions(&bytes, limit);
            prop_assert!(groups.iter().cloned().flatten().eq(0..u32::try_from(bytes.len()).unwrap()));
            for group in groups {
                let sizes: Vec<_> = group.map(|index| bytes[index as usize]).filter(|&size| size > 0).collect();
                prop_assert!(sizes.len() <= 1 || sizes.iter().sum::<u64>() <= limit);
            }
        }
    }
}
