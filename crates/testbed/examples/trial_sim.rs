//! Throw-away.
#[tokio::main]
async fn main() {
    tracing_subscriber::fmt().with_env_filter(tracing_subscriber::EnvFilter::from_default_env()).init();
    let client = kube::Client::try_default().await.unwrap();
    let sim = dbscale_testbed::simulator::Simulator::start(client);
    tokio::time::sleep(std::time::Duration::from_secs(36000)).await;
    sim.stop().await;
}
