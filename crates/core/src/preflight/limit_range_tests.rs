use rstest::rstest;
use serde_json::{Value, json};

use super::super::testing::{Scene, pod};
use super::CHECK;
use crate::finding::Finding;
use crate::rules::testing::claim;

fn told(found: &[Finding]) -> Option<&str> {
    found.iter().find(|f| f.rule == CHECK.rule.id).map(|f| f.message.as_str())
}

#[rstest]
#[case::within(json!({"type": "Container", "min": {"memory": "1Gi"}, "max": {"memory": "3Gi"}}), None)]
#[case::above(json!({"type": "Container", "max": {"memory": "2Gi"}}),
    Some("limit range bounds does not let pod my-db-2 be: the limit of container mongodb would be memory 3Gi, and 2Gi is the most"))]
#[case::below(json!({"type": "Container", "min": {"memory": "4Gi"}}), Some("container mongodb would ask for memory 3Gi, and 4Gi is the least"))]
#[case::of_the_pod(json!({"type": "Pod", "max": {"cpu": "1"}}), Some("the limit of the pod would be cpu 2, and 1 is the most"))]
#[case::a_ratio(json!({"type": "Container", "maxLimitRequestRatio": {"memory": "1"}}), None)]
#[case::nothing_asked(json!({"type": "Container", "min": {"ephemeral-storage": "1Gi"}}), Some("asks for no ephemeral-storage, and 1Gi is the least"))]
#[case::a_default_helps(json!({"type": "Container", "min": {"ephemeral-storage": "1Gi"}, "defaultRequest": {"ephemeral-storage": "2Gi"}}), None)]
#[case::about_claims(json!({"type": "PersistentVolumeClaim", "max": {"storage": "1Gi"}}), None)]
fn a_restart(#[case] limits: Value, #[case] said: Option<&str>) {
    let mut scene = Scene::new();
    scene.limits(&limits);
    let found = scene.memory("3Gi");
    assert_eq!(told(&found).is_some(), said.is_some(), "{found:?}");
    assert!(said.is_none_or(|said| told(&found).unwrap().contains(said)), "{found:?}");
    assert_eq!(found.iter().any(Finding::refuses), said.is_some());
}

#[test]
fn a_limit_that_is_too_many_times_its_request() {
    let mut scene = Scene::new();
    let mut pods: Vec<Value> = (0..3).map(pod).collect();
    for pod in &mut pods {
        pod["spec"]["containers"][0]["resources"]["requests"]["cpu"] = json!("500m");
    }
    scene.pods(&pods);
    scene.limits(&json!({"type": "Container", "maxLimitRequestRatio": {"cpu": "2.5"}}));
    assert!(
        told(&scene.replicas(5))
            .unwrap()
            .contains("cpu 2 with a request of 500m, and 2500m times the request is the most")
    );
}

#[test]
fn a_default_limit_that_is_less_than_the_request() {
    let mut scene = Scene::new();
    let mut pods: Vec<Value> = (0..3).map(pod).collect();
    for pod in &mut pods {
        let exporter = json!({"name": "exporter", "resources": {"requests": {"memory": "1Gi"}}});
        pod["spec"]["containers"].as_array_mut().unwrap().push(exporter);
    }
    scene.pods(&pods);
    scene.limits(&json!({"type": "Container", "default": {"memory": "512Mi"}, "defaultRequest": {"memory": "256Mi"}}));
    let found = scene.replicas(5);
    let said = "container exporter asks for memory 1Gi, and the limit that it would be given is 512Mi";
    assert!(told(&found).unwrap().contains(said), "{found:?}");
}

#[rstest]
#[case::within("50Gi", None)]
#[case::above("60Gi", Some("claim datadir-my-db-20Gi be: it would ask for storage 60Gi, and 50Gi is the most"))]
fn a_volume_that_grows(#[case] size: &str, #[case] said: Option<&str>) {
    let mut scene = Scene::new();
    scene.facts.claims = vec![claim("replicaSet", "20Gi")];
    scene.limits(&json!({"type": "PersistentVolumeClaim", "min": {"storage": "1Gi"}, "max": {"storage": "50Gi"}}));
    let found = scene.storage(size);
    assert_eq!(told(&found).is_some(), said.is_some(), "{found:?}");
    assert!(said.is_none_or(|said| told(&found).unwrap().contains(said)), "{found:?}");
}
