use std::cmp::Ordering;
use std::hash::{BuildHasher, RandomState};

use proptest::prelude::*;
use rstest::rstest;
use serde_json::json;

use super::{Format, LIMIT, Quantity, QuantityError, UNIT};

fn q(text: &str) -> Quantity {
    text.parse().unwrap_or_else(|error| panic!("{error}"))
}

#[rstest]
#[case::zero("0", 0, "0")]
#[case::plus("+1", UNIT, "1")]
#[case::minus("-1", -UNIT, "-1")]
#[case::point_at_the_end("5.", 5 * UNIT, "5")]
#[case::fraction("0.5", UNIT / 2, "500m")]
#[case::kilo("1000", 1000 * UNIT, "1k")]
#[case::exponent("1e3", 1000 * UNIT, "1e3")]
#[case::capital_exponent("1E3", 1000 * UNIT, "1e3")]
#[case::exponent_not_of_three("12e5", 1_200_000 * UNIT, "1200e3")]
#[case::exponent_gone("1e0", UNIT, "1")]
#[case::small_exponent("1.5e-3", 1_500_000, "1500e-6")]
#[case::exa("1E", 1_000_000_000_000_000_000 * UNIT, "1E")]
#[case::beyond_exa("1000E", 10_i128.pow(30), "1000E")]
#[case::half_a_gibibyte(".5Gi", 536_870_912 * UNIT, "512Mi")]
#[case::one_and_a_half_exbibytes("1.5Ei", 1_729_382_256_910_270_464 * UNIT, "1536Pi")]
#[case::small_in_binary("0.5Ki", 512 * UNIT, "512")]
#[case::fraction_in_binary("1.0001Ki", 1_024_102_400_000, "1024102400u")]
#[case::finer_than_nano("0.1n", 1, "1n")]
#[case::finer_than_nano_below_zero("-0.1n", -1, "-1n")]
#[case::rounds_away_from_zero("1.0000000001", UNIT + 1, "1000000001n")]
#[case::tiny_exponent("1e-999", 1, "1e-9")]
#[case::capped_binary("8Ei", i128::from(i64::MAX) * UNIT, "9223372036854775807")]
#[case::capped_binary_below_zero("-100Ei", -i128::from(i64::MAX) * UNIT, "-9223372036854775807")]
#[case::decimal_is_not_capped("100E", 100_000_000_000_000_000_000 * UNIT, "100E")]
#[case::largest("99999999999999999999999999999.999999999", LIMIT - 1, "99999999999999999999999999999999999999n")]
#[case::unit_alone("Gi", 0, "0")]
#[case::sign_alone("-", 0, "0")]
#[case::zero_with_an_exponent("0e999", 0, "0")]
fn reads_and_prints(#[case] text: &str, #[case] nanos: i128, #[case] canonical: &str) {
    assert_eq!((q(text).nanos(), q(text).to_string().as_str()), (nanos, canonical));
}

#[rstest]
#[case::empty("", "an empty text is no quantity; write a number and a unit, such as 10Gi, 50G or 500m")]
#[case::gigabytes_of_a_person(
    "100GB",
    "\"100GB\" is no quantity: there is no unit \"GB\"; write 100G (10^9) or 100Gi (2^30)"
)]
#[case::gibibytes_of_a_person("4GiB", "\"4GiB\" is no quantity: there is no unit \"GiB\"; write 4Gi (2^30)")]
#[case::capital_kilo("1K", "\"1K\" is no quantity: there is no unit \"K\"; write 1k (10^3) or 1Ki (2^10)")]
#[case::small_giga("1g", "\"1g\" is no quantity: there is no unit \"g\"; write 1G (10^9) or 1Gi (2^30)")]
#[case::space_between("10 Gi", "\"10 Gi\" is no quantity: it has a space in it; write 10Gi")]
#[case::space_and_wrong_unit(
    "10 GB",
    "\"10 GB\" is no quantity: it has a space in it; write 10G (10^9) or 10Gi (2^30)"
)]
#[case::space_after("10Gi\n", "\"10Gi\\n\" is no quantity: it has a space in it; write 10Gi")]
#[case::space_before(" 10Gi", "\" 10Gi\" is no quantity: it has a space in it; write 10Gi")]
#[case::cores("2cores", "\"2cores\" is no quantity: there is no unit \"cores\"; write 2")]
#[case::comma(
    "1,5Gi",
    "\"1,5Gi\" is no quantity: a fraction is written with a point; write a number and a unit, such as 10Gi, 50G or 500m"
)]
#[case::two_points(
    "1.2.3",
    "\"1.2.3\" is no quantity: it has two points; write a number and a unit, such as 10Gi, 50G or 500m"
)]
#[case::a_word(
    "lots",
    "\"lots\" is no quantity: it does not begin with a number; write a number and a unit, such as 10Gi, 50G or 500m"
)]
#[case::exbibyte_without_number(
    "Ei",
    "\"Ei\" is no quantity: it has no number; write a number and a unit, such as 10Gi, 50G or 500m"
)]
#[case::open_exponent(
    "1e+",
    "\"1e+\" is no quantity: there is no unit \"e+\"; write a number and a unit, such as 10Gi, 50G or 500m"
)]
#[case::huge_exponent(
    "1e999999999",
    "\"1e999999999\" is no readable quantity: its exponent has 9 digits, more than 3; write a number and a unit, such as 10Gi, 50G or 500m"
)]
#[case::too_large(
    "1e29",
    "\"1e29\" is no readable quantity: amounts of 10^29 and more are not counted; write a smaller one"
)]
#[case::rounds_to_too_large(
    "99999999999999999999999999999.9999999991",
    "\"99999999999999999999999999999.9999999991\" is no readable quantity: amounts of 10^29 and more are not counted; write a smaller one"
)]
fn refuses_and_says_what_to_write(#[case] text: &str, #[case] message: &str) {
    assert_eq!(text.parse::<Quantity>().map_err(|error| error.to_string()), Err(message.to_owned()));
}

#[test]
fn long_numbers_are_refused_before_they_are_computed() {
    let fits = format!("{}1", "0".repeat(63));
    assert_eq!(q(&fits), q("1"));
    let long = "9".repeat(400);
    let shown = format!("{}…", "9".repeat(40));
    assert_eq!(long.parse::<Quantity>(), Err(QuantityError::TooManyDigits { text: shown, digits: 400 }));
}

#[rstest]
#[case::binary_is_more_than_decimal("6G", "6Gi", Ordering::Less)]
#[case::spelling("1Gi", "1024Mi", Ordering::Equal)]
#[case::family("1000m", "1e0", Ordering::Equal)]
#[case::beyond_f64("9007199254740993", "9007199254740992", Ordering::Greater)]
#[case::below_zero("-2", "-1", Ordering::Less)]
fn compares_amounts(#[case] a: &str, #[case] b: &str, #[case] order: Ordering) {
    assert_eq!((q(a).cmp(&q(b)), q(b).cmp(&q(a))), (order, order.reverse()));
    let hasher = RandomState::new();
    assert_eq!(hasher.hash_one(q(a)) == hasher.hash_one(q(b)), order == Ordering::Equal);
}

#[rstest]
#[case::text(json!("10Gi"), Ok("10Gi"))]
#[case::integer(json!(2), Ok("2"))]
#[case::largest_integer(json!(u64::MAX), Ok("18446744073709551615"))]
#[case::float(json!(0.1), Ok("100m"))]
#[case::float_with_exponent(json!(1e21), Ok("1e21"))]
#[case::small_float(json!(2.5e-7), Ok("250e-9"))]
#[case::null(json!(null), Err(QuantityError::NotAnAmount { found: "null" }))]
#[case::object(json!({}), Err(QuantityError::NotAnAmount { found: "an object" }))]
fn reads_json(#[case] value: serde_json::Value, #[case] expected: Result<&str, QuantityError>) {
    assert_eq!(Quantity::from_json(&value).map(|q| q.to_string()), expected.map(str::to_owned));
}

#[test]
fn is_written_as_its_canonical_text() {
    assert_eq!(json!({"storage": q("1.5Gi")}), json!({"storage": "1536Mi"}));
    assert_eq!(format!("[{:>6}]", q("2Gi")), "[   2Gi]");
}

#[test]
fn constructors_print_in_their_family() {
    assert_eq!(Quantity::from_bytes(3 << 30).to_string(), "3Gi");
    assert_eq!(Quantity::from_bytes(u64::MAX).to_string(), "18446744073709551615");
    assert_eq!(Quantity::from_units(-2000).to_string(), "-2k");
    assert_eq!((Quantity::GIGABYTE.to_string().as_str(), Quantity::GIGABYTE), ("1G", q("1e9")));
}

#[test]
fn arithmetic_stops_at_the_limit() {
    assert_eq!(q("1Gi").checked_add(q("1Mi")).map(|sum| sum.to_string()), Some("1025Mi".to_owned()));
    assert_eq!(Quantity::ZERO.checked_add(q("2Gi")).map(|sum| sum.to_string()), Some("2Gi".to_owned()));
    assert_eq!(q("1").checked_sub(q("1500m")).map(|rest| rest.to_string()), Some("-500m".to_owned()));
    assert_eq!(q("100Gi").checked_mul_int(3), Some(q("300Gi")));
    assert_eq!(q("9e28").checked_add(q("1e28")), None);
    assert_eq!(q("-9e28").checked_sub(q("1e28")), None);
    assert_eq!(q("1e20").checked_mul_int(i64::MAX), None);
}

fn any_quantity() -> impl Strategy<Value = Quantity> {
    let formats = prop_oneof![Just(Format::DecimalSi), Just(Format::BinarySi), Just(Format::DecimalExponent)];
    let nanos = prop_oneof![
        1 - LIMIT..LIMIT,
        any::<i64>().prop_map(i128::from),
        (-4000_i128..4000, 0_u32..7).prop_map(|(n, places)| n * 1024_i128.pow(places) * UNIT),
        (-4000_i128..4000, 0_u32..30).prop_map(|(n, places)| n * 10_i128.pow(places)),
    ];
    (nanos, formats).prop_map(|(nanos, format)| Quantity { nanos, format })
}

proptest! {
    #[test]
    fn printing_and_reading_is_the_identity(quantity in any_quantity()) {
        let text = quantity.to_string();
        prop_assert_eq!(q(&text), quantity, "{}", text);
    }

    #[test]
    fn order_is_total(a in any_quantity(), b in any_quantity(), c in any_quantity()) {
        prop_assert_eq!(a.cmp(&b), b.cmp(&a).reverse());
        prop_assert_eq!(a == b, a.cmp(&b) == Ordering::Equal);
        if a <= b && b <= c {
            prop_assert!(a <= c);
        }
    }

    #[test]
    fn spelling_does_not_change_the_amount(n in 0_i64..1_000_000, zeros in 0_usize..8) {
        let zeros = "0".repeat(zeros);
        for spelling in [format!("+{zeros}{n}"), format!("{n}.{zeros}"), format!("{n}000m"), format!("{n}e0"), format!("{n}000E-3")] {
            prop_assert_eq!(q(&spelling), Quantity::from_units(n), "{}", spelling);
        }
        prop_assert_eq!(q(&format!("{n}Gi")), q(&format!("{}Mi", n * 1024)));
    }

    #[test]
    fn no_text_makes_it_panic(text in ".{0,80}", odd in "[-+]?[0-9.]{0,70}[eEinumkKMGTP]{0,3}[-+]?[0-9]{0,5}") {
        let _ = text.parse::<Quantity>();
        let _ = odd.parse::<Quantity>();
    }
}
