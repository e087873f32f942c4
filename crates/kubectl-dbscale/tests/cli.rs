//! What the program says where no cluster is asked: help, lists, explanations, and wrong use.
//!
//! `TRYCMD=overwrite cargo test -p kubectl-dbscale --test cli` writes the files anew; read the difference before you keep it.

#[test]
fn offline_commands_and_wrong_use() {
    trycmd::TestCases::new()
        // No kubeconfig: a case that asked a cluster would say so and fail.
        .env("KUBECONFIG", "/nonexistent/kubeconfig")
        .env("HOME", "/nonexistent")
        .env("COLUMNS", "100")
        .case("tests/cmd/*.trycmd");
}
