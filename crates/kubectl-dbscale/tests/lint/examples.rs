//! KubeDB's own examples, folder by folder: none is refused that KubeDB takes.

use std::path::PathBuf;
use std::{env, fs};

use kubectl_dbscale::lint::{self, Ask};

/// What KubeDB refuses itself: the folder, the object, the rule.
const REFUSED: [(&str, &str, &str); 2] = [
    // A Redis Cluster has a master and a replica a shard, and grows or shrinks; KubeDB's validator says so of this example.
    ("examples__redis__scaling__horizontal-scaling", "redisops-horizontal", "replicas/engine-bounds"),
    ("examples__redis__scaling__horizontal-scaling", "redisops-horizontal", "replicas/transition"),
];

#[test]
fn kubedbs_examples_are_right() {
    let Some(data) = env::var_os("KUBEDB_DATA").filter(|v| !v.is_empty()).map(PathBuf::from) else {
        assert!(env::var_os("DBSCALE_REQUIRE_KUBEDB_DATA").is_none(), "KUBEDB_DATA is not set");
        println!("skipped: KUBEDB_DATA is not set, so KubeDB's examples are not judged");
        return;
    };
    let mut folders: Vec<PathBuf> =
        fs::read_dir(data.join("examples")).unwrap().map(|e| e.unwrap().path()).filter(|p| p.is_dir()).collect();
    folders.sort();
    assert!(folders.len() > 30, "{} folders", folders.len());
    let (mut refused, mut objects) = (Vec::new(), 0);
    for folder in folders {
        let report = lint::lint(&Ask { files: vec![folder.clone()], ..Ask::default() }).unwrap();
        assert_eq!(report.unreadable, []);
        objects += report.rows.len();
        let name = folder.file_name().unwrap().to_string_lossy().into_owned();
        for row in &report.rows {
            for placed in row.findings.iter().filter(|f| f.finding.refuses()) {
                let known = (name.as_str(), row.name.name.as_str(), placed.finding.rule.0);
                if !REFUSED.contains(&known) {
                    refused.push(format!("{name}: {} {}: {}", row.name.kind, row.name.name, placed.finding));
                }
            }
        }
    }
    assert!(objects >= 132, "{objects} objects");
    assert!(refused.is_empty(), "{} refused:\n{}", refused.len(), refused.join("\n"));
}
