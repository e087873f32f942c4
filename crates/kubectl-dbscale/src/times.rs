//! Times as people read them.

use jiff::Timestamp;

/// As kubectl tells ages: `40s`, `5m`, `3h`, `12d`.
#[must_use]
pub fn age(created: &str, now: Timestamp) -> String {
    let Ok(created) = created.parse::<Timestamp>() else { return "-".to_owned() };
    // A clock that is behind the server's has seen nothing yet.
    let seconds = (now.as_second() - created.as_second()).max(0);
    match seconds {
        0..120 => format!("{seconds}s"),
        120..7200 => format!("{}m", seconds / 60),
        7200..172_800 => format!("{}h", seconds / 3600),
        _ => format!("{}d", seconds / 86400),
    }
}

/// `40s`, `1m12s`, `2h5m`. A clock that is behind the server's has seen nothing yet.
#[must_use]
pub fn elapsed(seconds: i64) -> String {
    let seconds = seconds.max(0);
    match (seconds / 3600, seconds / 60 % 60, seconds % 60) {
        (0, 0, s) => format!("{s}s"),
        (0, m, s) => format!("{m}m{s}s"),
        (h, m, _) => format!("{h}h{m}m"),
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::seconds("2026-01-01T00:00:00Z", "40s")]
    #[case::minutes("2025-12-31T23:00:40Z", "60m")]
    #[case::hours("2025-12-31T00:00:40Z", "24h")]
    #[case::days("2025-12-20T00:00:40Z", "12d")]
    #[case::ahead("2026-01-01T00:01:00Z", "0s")]
    #[case::none("", "-")]
    fn ages(#[case] created: &str, #[case] told: &str) {
        assert_eq!(age(created, "2026-01-01T00:00:40Z".parse().unwrap()), told);
    }

    #[rstest]
    #[case::seconds(40, "40s")]
    #[case::minutes(72, "1m12s")]
    #[case::hours(7500, "2h5m")]
    #[case::a_clock_behind(-3, "0s")]
    fn elapsed_times(#[case] seconds: i64, #[case] told: &str) {
        assert_eq!(elapsed(seconds), told);
    }
}
