/// Is rows under one heading.
pub(super) type Part<'r, R> = Vec<(&'r str, &'r [R])>;

/// Is how many rows of a chart stand on one page of paper.
pub(super) const PAGE: usize = 28;

/// Parts the rows of a chart, so that each part fits a page of paper and has its axis close by: at most so many rows each, where
/// there are many more. A heading whose rows are parted stands over each of them.
pub(super) fn parts<'r, R>(groups: impl Iterator<Item = (&'r str, &'r [R])> + Clone, most: usize) -> Vec<Part<'r, R>> {
    let all: usize = groups.clone().map(|group| group.1.len()).sum();
    let most = if all <= most + most / 3 { all } else { most }.max(1);
    let mut parts: Vec<Part<'r, R>> = Vec::new();
    let mut used = most;
    for (heading, rows) in groups.flat_map(|(heading, rows)| rows.chunks(most).map(move |rows| (heading, rows))) {
        if used + rows.len() > most {
            used = 0;
            parts.push(Vec::new());
        }
        used += rows.len();
        if let Some(part) = parts.last_mut() {
            part.push((heading, rows));
        }
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_row_is_lost_and_no_part_is_long() {
        let rows: Vec<usize> = (0..40).collect();
        let groups = [("a", &rows[..3]), ("b", &rows[3..33]), ("c", &rows[33..])];
        let found = parts(groups.into_iter(), 12);
        let lengths: Vec<usize> = found.iter().map(|part| part.iter().map(|group| group.1.len()).sum()).collect();
        assert_eq!(lengths, [3, 12, 12, 6, 7]);
        let flat: Vec<usize> = found.iter().flatten().flat_map(|group| group.1).copied().collect();
        assert_eq!(flat, rows);
        assert_eq!(parts(groups.into_iter(), 30).len(), 1, "a few more are no second part");
    }
}
