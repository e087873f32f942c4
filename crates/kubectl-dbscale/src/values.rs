//! Values of flags: counts, and durations as Kubernetes writes them.

use std::time::Duration;

use dbscale_core::preflight;

/// The longest duration that is read: a year. More is a slip, and would overflow a clock.
const LONGEST: u64 = 365 * 24 * 3600;

/// Reads a number of members or shards. Whether it makes sense is for the rules to say: 0 and -1 are read, too.
///
/// # Errors
/// What to write.
pub fn count(text: &str) -> Result<i64, String> {
    text.parse::<i32>().map(i64::from).map_err(|_| "write a whole number, such as 3".to_owned())
}

/// Reads a number of databases.
///
/// # Errors
/// What to write.
pub fn at_least_one(text: &str) -> Result<usize, String> {
    text.parse().ok().filter(|n| *n > 0).ok_or_else(|| "write a whole number of at least 1".to_owned())
}

/// Reads the name of a check of the surroundings, with `preflight/` before it or without.
///
/// # Errors
/// The names.
pub fn check(text: &str) -> Result<String, String> {
    let name = text.strip_prefix("preflight/").unwrap_or(text);
    let names = preflight::NAMES.map(|(name, _)| name);
    names.contains(&name).then(|| name.to_owned()).ok_or_else(|| format!("the checks are {}", names.join(", ")))
}

/// Reads `90s`, `10m`, `1h30m`, or bare seconds.
///
/// # Errors
/// What to write.
pub fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || format!("'{text}' is no duration of at most a year: write 30s, 10m or 1h30m");
    let bounded = |seconds: u64| if seconds <= LONGEST { Ok(Duration::from_secs(seconds)) } else { Err(wrong()) };
    if let Ok(seconds) = text.parse::<u64>() {
        return bounded(seconds);
    }
    let (mut total, mut digits) = (0_u64, String::new());
    for c in text.chars() {
        let unit = match c {
            '0'..='9' => {
                digits.push(c);
                continue;
            }
            's' => 1,
            'm' => 60,
            'h' => 3600,
            _ => return Err(wrong()),
        };
        let number: u64 = digits.parse().map_err(|_| wrong())?;
        total = number.checked_mul(unit).and_then(|s| total.checked_add(s)).ok_or_else(wrong)?;
        digits.clear();
    }
    if digits.is_empty() && !text.is_empty() { bounded(total) } else { Err(wrong()) }
}

/// Checks a duration and keeps its text, as KubeDB wants it.
///
/// # Errors
/// As [`duration`].
pub fn duration_text(text: &str) -> Result<String, String> {
    duration(text)?;
    Ok(if text.bytes().all(|b| b.is_ascii_digit()) { format!("{text}s") } else { text.to_owned() })
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::some("5", Ok(5))]
    #[case::none_is_for_the_rules("0", Ok(0))]
    #[case::so_is_less("-1", Ok(-1))]
    #[case::words("many", Err("write a whole number, such as 3".to_owned()))]
    #[case::beyond_what_kubernetes_counts("99999999999", Err("write a whole number, such as 3".to_owned()))]
    fn counts(#[case] text: &str, #[case] read: Result<i64, String>) {
        assert_eq!(count(text), read);
    }

    #[rstest]
    #[case::as_it_is("5m", "5m")]
    #[case::bare_seconds("45", "45s")]
    fn a_duration_for_kubedb(#[case] text: &str, #[case] sent: &str) {
        assert_eq!(duration_text(text).as_deref(), Ok(sent));
    }

    #[rstest]
    #[case::minutes("10m", Some(600))]
    #[case::mixed("1h30m", Some(5400))]
    #[case::bare("45", Some(45))]
    #[case::word("soon", None)]
    #[case::no_unit("5m3", None)]
    #[case::empty("", None)]
    #[case::a_century("876000h", None)]
    #[case::huge("99999999999999999999h", None)]
    fn durations(#[case] text: &str, #[case] seconds: Option<u64>) {
        assert_eq!(duration(text).ok().map(|d| d.as_secs()), seconds);
    }
}
