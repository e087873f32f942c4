//! Several clusters, of which one does not answer.

use super::{Plane, database, request};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cluster_that_does_not_answer_holds_up_no_other() {
    let plane = Plane::start().await;
    let dead = plane.kubeconfig_for("127.0.0.1:1");
    let (west, east) = (format!("west={}", dead.display()), format!("east={}", plane.kubeconfig.display()));
    let (controller, _) = plane.controller(&["--cluster", &west, "--cluster", &east]);
    plane.create((0..5).map(database).collect()).await;
    plane.until("scalingrecords", 5, |o| o["status"]["phase"] == "Running").await;
    plane.create((0..5).map(|i| request(i, 1, 4)).collect()).await;
    plane.until("scalingrecords", 5, |o| o["status"]["last"] == "HorizontalScaling Successful").await;
    drop(controller);
}
