use rstest::rstest;

use super::*;

#[test]
fn the_command_line_is_sound() {
    Cli::command().debug_assert();
}

#[rstest]
#[case::by_kubectl("/home/me/.krew/bin/kubectl-dbscale", "kubectl dbscale")]
#[case::on_windows("kubectl-dbscale.exe", "kubectl dbscale")]
#[case::renamed("./dbscale", "dbscale")]
fn usage_follows_the_name(#[case] argv0: &str, #[case] program_name: &str) {
    let called = program(Some(OsStr::new(argv0)));
    assert_eq!(called, program_name);
    let mut command = named(Cli::command(), &called);
    let error = command.try_get_matches_from_mut([argv0, "vertical", "--help"]).unwrap_err().to_string();
    assert!(error.contains(&format!("Usage: {program_name} vertical")), "{error}");
    assert!(error.contains(&format!("  {program_name} vertical mongodb/my-db --size db.t3.medium")), "{error}");
}
