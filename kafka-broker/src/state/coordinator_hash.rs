//! Which partition of a coordinator's topic an id belongs to.

/// Java's hash of the id over the number of partitions.
pub(crate) fn partition_for(id: &str, partitions: i32) -> i32 {
    let hash = id.encode_utf16().fold(0_i32, |hash, unit| {
        hash.wrapping_mul(31).wrapping_add(i32::from(unit))
    });
    let positive = if hash == i32::MIN { 0 } else { hash.abs() };
    positive % partitions.max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_those_of_java() {
        // "hello".hashCode() is 99162322, "polygenelubricants".hashCode() is i32::MIN.
        assert_eq!(partition_for("hello", 50), 22);
        assert_eq!(partition_for("polygenelubricants", 50), 0);
        // "\u{1F600}" is two units in UTF-16: 0xD83D * 31 + 0xDE00 = 1772899.
        assert_eq!(partition_for("\u{1F600}", 1000), 899);
        assert_eq!(partition_for("", 50), 0);
    }
}
