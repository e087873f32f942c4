//! The Helm chart: the same files as kustomize's, cut into templates. What a value may change is one edit here; an edit whose
//! text is no longer found is an error, so the two cannot drift apart.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use dbscale_core::entries::{ENTRIES, rules};
use dbscale_testbed::assets;
use serde_json::Value;

/// Where it is, in the repository.
const CHART: &str = "manifests/chart";

/// What every template begins with.
const HEAD: &str = "# Made by `cargo xtask manifests`. Change the files of manifests/ that it is made of, or crates/xtask/src/chart.rs.\n";

/// A template, and what it is made of.
struct Template {
    name: &'static str,
    /// The value that switches it on; empty = always.
    condition: &'static str,
    /// Files of `manifests/`; a folder stands for all of its files but the kustomization.
    sources: &'static [&'static str],
    /// What is put in place of what, which is there once.
    edits: Vec<(String, String)>,
    /// The same for what is there several times.
    everywhere: Vec<(String, String)>,
}

/// Every file of the chart that is made, by its path in the repository.
///
/// # Errors
/// A file that cannot be read, or an edit whose text is not there.
pub fn files() -> Result<BTreeMap<PathBuf, String>> {
    let mut files = BTreeMap::from([(Path::new(CHART).join("Chart.yaml"), about())]);
    for template in templates() {
        let path = Path::new(CHART).join("templates").join(template.name);
        files.insert(path, template.text()?);
    }
    Ok(files)
}

fn about() -> String {
    let version = env!("CARGO_PKG_VERSION");
    format!(
        "{HEAD}apiVersion: v2\nname: dbscale\ndescription: Safe scaling of KubeDB databases on Kubernetes\ntype: application\n\
         version: {version}\nappVersion: {version}\nkubeVersion: \">=1.30.0-0\"\n"
    )
}

fn templates() -> Vec<Template> {
    vec![
        Template {
            name: "crds.yaml",
            condition: "",
            sources: &["crds", "base/rbac-policy-reader.yaml"],
            edits: Vec::new(),
            everywhere: Vec::new(),
        },
        Template {
            name: "webhook.yaml",
            condition: ".Values.webhook.enabled",
            sources: &["base/rbac-webhook.yaml", "base/webhook-service.yaml", "base/webhook-deployment.yaml"],
            edits: [certificates(), program("webhook")].concat(),
            everywhere: Vec::new(),
        },
        Template {
            name: "webhook-certificates.yaml",
            condition: "and .Values.webhook.enabled (not .Values.certManager.enabled)",
            sources: &["base/webhook-certificates.yaml"],
            edits: Vec::new(),
            everywhere: Vec::new(),
        },
        Template {
            name: "webhook-configuration.yaml",
            condition: ".Values.webhook.enabled",
            sources: &["base/webhook-configuration.yaml"],
            edits: asked(),
            everywhere: vec![(
                "    failurePolicy: Fail\n".to_owned(),
                "    failurePolicy: {{ ternary \"Ignore\" \"Fail\" (eq .Values.enforcement \"warn\") }}\n".to_owned(),
            )],
        },
        Template {
            name: "cert-manager.yaml",
            condition: "and .Values.webhook.enabled .Values.certManager.enabled",
            sources: &["components/cert-manager/certificate.yaml"],
            edits: Vec::new(),
            everywhere: Vec::new(),
        },
        Template {
            name: "controller.yaml",
            condition: ".Values.controller.enabled",
            sources: &["base/controller"],
            edits: program("controller"),
            everywhere: Vec::new(),
        },
        Template {
            name: "policies.yaml",
            condition: ".Values.policies.enabled",
            sources: &["base/policies"],
            edits: Vec::new(),
            everywhere: bindings(),
        },
        Template {
            name: "network-policies.yaml",
            condition: ".Values.networkPolicies.enabled",
            sources: &["base/network/webhook", "base/network/controller"],
            edits: Vec::new(),
            everywhere: Vec::new(),
        },
        Template {
            name: "monitoring.yaml",
            condition: ".Values.monitoring.enabled",
            sources: &["components/monitoring"],
            edits: Vec::new(),
            everywhere: Vec::new(),
        },
    ]
}

/// What the values say of a program's Deployment.
fn program(name: &str) -> Vec<(String, String)> {
    let resources = "          resources:\n            # What 10,000 databases take, with room; a review takes some microseconds.\n";
    let amounts = "            requests: { cpu: 50m, memory: 64Mi }\n            limits: { memory: 256Mi }\n";
    let resources = if name == "webhook" { resources } else { "          resources:\n" };
    let last = if name == "webhook" { "--self-managed-certs" } else { "--metrics-address=0.0.0.0:8080" };
    [
        ("  replicas: 2\n".to_owned(), format!("  replicas: {{{{ .Values.{name}.replicas }}}}\n")),
        (
            format!("          image: dbscale-{name}\n"),
            format!("          image: {{{{ include \"dbscale.image\" (list . \"dbscale-{name}\") }}}}\n"),
        ),
        (
            format!("            - {last}\n"),
            format!(
                "            - {last}\n            {{{{- range .Values.{name}.extraArgs }}}}\n            - {{{{ . | quote }}}}\n            {{{{- end }}}}\n"
            ),
        ),
        (
            format!("{resources}{amounts}"),
            format!("          resources: {{{{- toYaml .Values.{name}.resources | nindent 12 }}}}\n"),
        ),
        (
            "      topologySpreadConstraints:\n".to_owned(),
            format!(
                "      {{{{- with include \"dbscale.pod\" (list . .Values.{name}) | trim }}}}\n      {{{{- . | nindent 6 }}}}\n      {{{{- end }}}}\n      topologySpreadConstraints:\n"
            ),
        ),
    ]
    .into()
}

/// The webhook's certificates: its own, or cert-manager's, as `components/cert-manager/webhook.yaml` has them.
fn certificates() -> Vec<(String, String)> {
    let when = |text: &str| format!("{{{{- if .Values.certManager.enabled }}}}\n{text}");
    let own = "            - --self-managed-certs\n";
    let warn = "            {{- if eq .Values.enforcement \"warn\" }}\n            - --enforcement=warn\n            {{- end }}\n";
    let files = "            - --tls-cert=/certificates/tls.crt\n            - --tls-key=/certificates/tls.key\n";
    let mounts =
        "          volumeMounts:\n            - { name: certificates, mountPath: /certificates, readOnly: true }\n";
    let volumes =
        "      volumes:\n        - name: certificates\n          secret: { secretName: dbscale-webhook-tls }\n";
    let (ports, spread) = ("          ports:\n", "      topologySpreadConstraints:\n");
    [
        (
            own,
            format!("            {}            {{{{- else }}}}\n{own}            {{{{- end }}}}\n{warn}", when(files)),
        ),
        (ports, format!("          {}          {{{{- end }}}}\n{ports}", when(mounts))),
        (spread, format!("      {}      {{{{- end }}}}\n{spread}", when(volumes))),
    ]
    .map(|(find, put)| (find.to_owned(), put))
    .into()
}

/// Which namespaces are held by refusals and which by warnings, as `components/warn-only` has it.
fn bindings() -> Vec<(String, String)> {
    let selector = |operator: &str, values: &[&str]| {
        format!("        operator: {operator}\n        values:\n        - {}\n", values.join("\n        - "))
    };
    let either = |enforced: String, warned: String| {
        let put = format!(
            "        {{{{- if eq .Values.enforcement \"warn\" }}}}\n{warned}        {{{{- else }}}}\n{enforced}        {{{{- end }}}}\n"
        );
        (enforced, put)
    };
    vec![
        either(selector("NotIn", &["warn", "\"off\""]), selector("In", &["enforce"])),
        either(selector("In", &["warn"]), selector("NotIn", &["enforce", "\"off\""])),
    ]
}

/// With cert-manager its injector is asked, and the rules stand in the chart.
fn asked() -> Vec<(String, String)> {
    let of_entry = |entry: &str| {
        let find = format!("  - name: {entry}\n");
        let rules = yaml(&rules(entry), 4);
        let put =
            format!("{find}    {{{{- if .Values.certManager.enabled }}}}\n    rules:\n{rules}    {{{{- end }}}}\n");
        (find, put)
    };
    let labels = "webhooks:\n".to_owned();
    let inject = "  {{- if .Values.certManager.enabled }}\n  annotations:\n    cert-manager.io/inject-ca-from: dbscale-system/dbscale-webhook\n  {{- end }}\n";
    let annotated = (labels.clone(), format!("{inject}{labels}"));
    ENTRIES.map(of_entry).into_iter().chain([annotated]).collect()
}

/// `components/cert-manager/configuration.yaml`: what the same is for kustomize.
pub fn configuration() -> String {
    let entries = ENTRIES.map(|entry| format!("  - name: {entry}\n    rules:\n{}", yaml(&rules(entry), 4)));
    format!(
        "# Made by `cargo xtask manifests`.\napiVersion: admissionregistration.k8s.io/v1\nkind: ValidatingWebhookConfiguration\n\
         metadata:\n  name: dbscale\n  annotations:\n    cert-manager.io/inject-ca-from: dbscale-system/dbscale-webhook\n\
         webhooks:\n{}",
        entries.concat()
    )
}

/// A list as YAML, so many blanks in.
fn yaml(value: &Value, indent: usize) -> String {
    let text = serde_saphyr::to_string(value).unwrap_or_default();
    text.lines().flat_map(|line| [&" ".repeat(indent), line, "\n"].map(str::to_owned)).collect()
}

impl Template {
    fn text(&self) -> Result<String> {
        let mut documents = Vec::new();
        for source in self.sources {
            for path in sources(source)? {
                let text = fs::read_to_string(&path).with_context(|| format!("could not read {}", path.display()))?;
                documents.push(text.trim_end().replace("{{", "{{ \"{{\" }}"));
            }
        }
        let mut text = documents.join("\n---\n") + "\n";
        for (find, put) in &self.edits {
            ensure!(text.matches(find.as_str()).count() == 1, "{}: this is not there once:\n{find}", self.name);
            text = text.replacen(find.as_str(), put, 1);
        }
        for (find, put) in &self.everywhere {
            ensure!(text.contains(find.as_str()), "{}: this is not there:\n{find}", self.name);
            text = text.replace(find.as_str(), put);
        }
        if self.condition.is_empty() {
            return Ok(format!("{HEAD}{text}"));
        }
        Ok(format!("{HEAD}{{{{- if {} }}}}\n{text}{{{{- end }}}}\n", self.condition))
    }
}

/// The files that a source stands for.
fn sources(source: &str) -> Result<Vec<PathBuf>> {
    let path = assets::workspace().join("manifests").join(source);
    if path.is_file() {
        return Ok(vec![path]);
    }
    let entries = fs::read_dir(&path).with_context(|| format!("could not read {}", path.display()))?;
    let mut files: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    files.retain(|file| file.extension().is_some_and(|e| e == "yaml") && !file.ends_with("kustomization.yaml"));
    files.sort();
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_chart_is_what_the_manifests_make() {
        for (path, wanted) in files().unwrap() {
            let found = fs::read_to_string(assets::workspace().join(&path)).unwrap_or_default();
            assert!(found == wanted, "{} is stale: run `cargo xtask manifests`", path.display());
        }
    }
}
