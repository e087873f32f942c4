//! Names of the OpsRequests that dbscale makes.

/// The longest name: an OpsRequest's name ends up in labels of what KubeDB makes for it.
pub const MAX_NAME: usize = 63;

/// `<database>-scale-<unix seconds>`. A database name that is too long is cut and gets a 5-character hash, so that two
/// long names with one beginning stay apart.
#[must_use]
pub fn request_name(database: &str, unix_seconds: i64) -> String {
    let tail = format!("-scale-{unix_seconds}");
    if database.len() + tail.len() <= MAX_NAME {
        return format!("{database}{tail}");
    }
    let kept = MAX_NAME - tail.len() - 6;
    // Kubernetes names are ASCII; anything else is refused by the API server before it gets here.
    let head: String = database.chars().take(kept).collect();
    format!("{}-{}{tail}", head.trim_end_matches(['-', '.']), hash(database))
}

/// Five characters of base 36 out of the FNV-1a hash of a text.
pub(crate) fn hash(text: &str) -> String {
    let mut hash =
        text.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |h, b| (h ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3));
    let mut digits = String::new();
    for _ in 0..5 {
        digits.push(char::from_digit(u32::try_from(hash % 36).unwrap_or(0), 36).unwrap_or('0'));
        hash /= 36;
    }
    digits
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::short("my-db", "my-db-scale-1763937600")]
    #[case::just_fits(&"a".repeat(46), &format!("{}-scale-1763937600", "a".repeat(46)))]
    fn as_they_are(#[case] database: &str, #[case] wanted: &str) {
        assert_eq!(request_name(database, 1_763_937_600), wanted);
    }

    #[test]
    fn a_long_name_is_cut_and_stays_apart_from_its_like() {
        let (one, other) = (format!("{}x", "a".repeat(62)), format!("{}y", "a".repeat(62)));
        let (a, b) = (request_name(&one, 1_763_937_600), request_name(&other, 1_763_937_600));
        assert_eq!(a.len(), MAX_NAME);
        assert_eq!(b.len(), MAX_NAME);
        assert_ne!(a, b);
        assert!(a.ends_with("-scale-1763937600"), "{a}");
    }
}
