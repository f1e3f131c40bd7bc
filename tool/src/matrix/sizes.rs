//! Lists of sizes as people write them: `16K,64K`, or a sweep `1K..4M:x2`.

use crate::units::parse_size;

/// Most sizes of one matrix.
const MAX_SIZES: usize = 64;

/// The sizes of a list, in bytes, ascending and each once. A part of the list is a size, or a sweep `FROM..TO:xN` that
/// multiplies by `N` (2 when left out) as long as the result is not above `TO`.
///
/// # Errors
/// Not of this form, an empty sweep, or too many sizes.
pub fn parse_sizes(text: &str) -> Result<Vec<u64>, String> {
    let mut sizes = Vec::new();
    for part in text.split(',') {
        match part.split_once("..") {
            Some((from, rest)) => sizes.extend(sweep(part, from, rest)?),
            None => sizes.push(parse_size(part)?),
        }
        if sizes.len() > MAX_SIZES {
            return Err(format!("{text:?} names more than {MAX_SIZES} sizes; take a larger factor"));
        }
    }
    sizes.sort_unstable();
    sizes.dedup();
    Ok(sizes)
}

fn sweep(part: &str, from: &str, rest: &str) -> Result<Vec<u64>, String> {
    let wrong = || format!("{part:?} is not a sweep of sizes; write for example 1K..4M:x2");
    let (to, factor) = rest.split_once(':').unwrap_or((rest, "x2"));
    let factor: u64 = factor.strip_prefix('x').and_then(|n| n.parse().ok()).ok_or_else(wrong)?;
    let (from, to) = (parse_size(from)?, parse_size(to)?);
    if factor < 2 || from > to {
        return Err(wrong());
    }
    let next = |size: &u64| size.checked_mul(factor).filter(|size| *size <= to);
    Ok(std::iter::successors(Some(from), next).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_and_sweeps() {
        assert_eq!(parse_sizes("64K"), Ok(vec![65_536]));
        assert_eq!(parse_sizes("64K,16K,64K"), Ok(vec![16_384, 65_536]));
        assert_eq!(parse_sizes("1K..8K:x2"), Ok(vec![1024, 2048, 4096, 8192]));
        assert_eq!(parse_sizes("1K..8K"), parse_sizes("1K..8K:x2"));
        assert_eq!(parse_sizes("1K..20K:x4,6K"), Ok(vec![1024, 4096, 6144, 16_384]));
        assert_eq!(parse_sizes("1K..4M:x2").unwrap().len(), 13);
        assert_eq!(parse_sizes("4K..4K"), Ok(vec![4096]));
    }

    #[test]
    fn what_is_no_list_is_refused_with_an_example() {
        for wrong in
            ["", "64K,", "4M..1K:x2", "1K..4M:2", "1K..4M:x1", "1K..4M:x0", "1K..", "..4M", "1K..2K..4K"]
        {
            assert!(parse_sizes(wrong).is_err(), "{wrong:?}");
        }
        assert!(parse_sizes("1K..4M:y2").unwrap_err().contains("1K..4M:x2"));
        let many = (1..=65).map(|n| n.to_string()).collect::<Vec<_>>().join(",");
        assert!(parse_sizes(&many).unwrap_err().contains("64 sizes"));
    }
}
