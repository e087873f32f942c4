//! Who wrote a field last, as the API server's `managedFields` tell it. For messages only: whoever writes names themself.

use serde_json::Value;

/// The writer of a field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Writer {
    /// The field manager: `kubectl-edit`.
    pub manager: String,
    /// When, RFC 3339 in UTC; empty where the server does not say.
    pub time: String,
}

/// The newest writer of the field at a JSON Pointer (RFC 6901) of an object; `None` where nobody is noted.
///
/// Source: Kubernetes' `FieldsV1`, where a field `a` is the key `f:a` and a list item is `k:{…}` or `v:…`.
#[must_use]
pub fn last_writer(object: &Value, pointer: &str) -> Option<Writer> {
    let entries = object.pointer("/metadata/managedFields")?.as_array()?;
    let text = |entry: &Value, field: &str| entry.get(field).and_then(Value::as_str).unwrap_or_default().to_owned();
    let owners = entries.iter().filter(|entry| entry.get("fieldsV1").is_some_and(|fields| has(fields, pointer)));
    let newest = owners.max_by_key(|entry| text(entry, "time"))?;
    Some(Writer { manager: text(newest, "manager"), time: text(newest, "time") })
}

fn has(fields: &Value, pointer: &str) -> bool {
    let Some(rest) = pointer.strip_prefix('/') else { return true };
    let (segment, below) = rest.find('/').map_or((rest, ""), |at| rest.split_at(at));
    let Some(fields) = fields.as_object() else { return false };
    let key = format!("f:{}", segment.replace("~1", "/").replace("~0", "~"));
    if let Some(field) = fields.get(&key) {
        return has(field, below);
    }
    // An index: which item it is cannot be told from here, so any item with the field counts.
    let items = || fields.iter().filter(|(key, _)| key.starts_with("k:") || key.starts_with("v:"));
    segment.bytes().all(|b| b.is_ascii_digit()) && items().any(|(_, item)| has(item, below))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::json;

    use super::*;

    #[rstest]
    #[case::two_writers("/spec/storage", Some(("argocd", "2026-02-01T00:00:00Z")))]
    #[case::one_writer("/spec/replicas", Some(("kubectl-create", "2026-01-01T00:00:00Z")))]
    #[case::an_item_of_a_list("/spec/racks/0/storage", Some(("argocd", "2026-02-01T00:00:00Z")))]
    #[case::nobody("/spec/version", None)]
    fn of_a_field(#[case] pointer: &str, #[case] wanted: Option<(&str, &str)>) {
        let object = json!({"metadata": {"managedFields": [
            {"manager": "kubectl-create", "time": "2026-01-01T00:00:00Z", "fieldsV1": {"f:spec": {"f:storage": {}, "f:replicas": {}}}},
            {"manager": "argocd", "time": "2026-02-01T00:00:00Z",
             "fieldsV1": {"f:spec": {"f:storage": {}, "f:racks": {"k:{\"name\":\"a\"}": {"f:storage": {}}}}}},
        ]}});
        let wanted = wanted.map(|(manager, time)| Writer { manager: manager.to_owned(), time: time.to_owned() });
        assert_eq!(last_writer(&object, pointer), wanted);
    }
}
