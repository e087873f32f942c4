//! The review that the API server sends (`admission.k8s.io/v1`), read once out of the body: strings are borrowed, and of the
//! objects only what the rules look at becomes anything (`dbscale_trim`).

use std::borrow::Cow;
use std::fmt;

use dbscale_trim::reader::Reader;
use dbscale_trim::shapes::{KnownKind, known_kind};
use dbscale_trim::{Budget, Keep};
use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::Value;

/// The version of reviews that is understood.
pub const API_VERSION: &str = "admission.k8s.io/v1";
/// The kind of a review.
pub const KIND: &str = "AdmissionReview";

/// How many values of one review may be kept. Real objects keep some dozens, the largest some hundreds.
const MOST_VALUES: u32 = 20_000;

/// What is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Operation {
    /// `CREATE`.
    Create,
    /// `UPDATE`.
    Update,
    /// `DELETE`, `CONNECT`, or something that is not known yet.
    Other,
}

/// A review, as far as it is judged.
#[derive(Debug)]
pub struct Review<'a> {
    /// Goes into the answer.
    pub uid: Cow<'a, str>,
    /// The kind of the object, in words: `ops.kubedb.com/MongoDBOpsRequest`.
    pub kind: String,
    /// The same, where it is one of KubeDB's.
    pub known: Option<&'static KnownKind>,
    /// Whether it is about a part such as `status`.
    pub subresource: bool,
    /// What is asked.
    pub operation: Operation,
    /// `metadata.name`; empty where the server will make one.
    pub name: Cow<'a, str>,
    /// `metadata.namespace`.
    pub namespace: Cow<'a, str>,
    /// Who asks.
    pub user: Cow<'a, str>,
    /// Whether nothing will come of it.
    pub dry_run: bool,
    /// The object as it shall be, trimmed.
    pub object: Option<Value>,
    /// The object as it is, trimmed.
    pub old: Option<Value>,
}

/// Why a body is no review.
#[derive(Debug, thiserror::Error)]
pub enum ReviewError {
    /// It is no JSON, or a field has another type than it must.
    #[error("the body is no AdmissionReview: {0}")]
    Malformed(#[from] serde_json::Error),
    /// It is another version or kind.
    #[error("the body is {found}, and must be {KIND} of {API_VERSION}")]
    Version {
        /// What it says of itself.
        found: String,
    },
    /// A field is missing.
    #[error("the review has no {0}")]
    Missing(&'static str),
}

/// Reads a review.
///
/// # Errors
/// [`ReviewError`]: what is wrong with the body.
pub fn read(body: &[u8]) -> Result<Review<'_>, ReviewError> {
    let mut envelope = pass(body, Told::ByTheReview)?;
    if envelope.request.as_ref().is_some_and(|r| r.too_late) {
        // An object came before the kind that says what to keep of it. No API server writes it so; now the kind is known.
        let known = envelope.request.as_ref().and_then(Request::known);
        envelope = pass(body, Told::Before(known))?;
    }
    let text = |t: Option<Text<'_>>| t.map(|t| t.0.into_owned()).unwrap_or_default();
    let (version, kind) = (text(envelope.version), text(envelope.kind));
    if version != API_VERSION || kind != KIND {
        let found =
            if version.is_empty() && kind.is_empty() { "neither".to_owned() } else { format!("{kind} of {version}") };
        return Err(ReviewError::Version { found });
    }
    let request = envelope.request.ok_or(ReviewError::Missing("request"))?;
    let known = request.known();
    let review = Review {
        uid: request.uid.0,
        kind: format!("{}/{}", request.kind.group.0, request.kind.kind.0),
        known,
        subresource: !request.subresource.0.is_empty(),
        operation: match &*request.operation.0 {
            "CREATE" => Operation::Create,
            "UPDATE" => Operation::Update,
            _ => Operation::Other,
        },
        name: request.name.0,
        namespace: request.namespace.0,
        user: request.user.username.0,
        dry_run: request.dry_run,
        object: request.object,
        old: request.old,
    };
    if review.uid.is_empty() {
        return Err(ReviewError::Missing("request.uid"));
    }
    if review.known.is_some() && !review.subresource && review.operation != Operation::Other {
        if !review.object.as_ref().is_some_and(Value::is_object) {
            return Err(ReviewError::Missing("request.object"));
        }
        if review.operation == Operation::Update && !review.old.as_ref().is_some_and(Value::is_object) {
            return Err(ReviewError::Missing("request.oldObject"));
        }
    }
    Ok(review)
}

/// Where the kind of the objects is known from.
#[derive(Debug, Clone, Copy)]
enum Told {
    /// The review itself, as far as it has been read.
    ByTheReview,
    /// An earlier pass over it.
    Before(Option<&'static KnownKind>),
}

/// Reads the body once.
fn pass(body: &[u8], kind: Told) -> Result<Envelope<'_>, serde_json::Error> {
    let mut document = Reader::new(body);
    let envelope = EnvelopeSeed { kind }.deserialize(&mut document)?;
    document.end()?;
    Ok(envelope)
}

/// A string of the body, borrowed where it has no escapes.
#[derive(Debug, Default, Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

/// The type of an object; Go's decoder takes null and what is missing for empty.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Kind<'a> {
    #[serde(borrow)]
    group: Text<'a>,
    #[serde(borrow)]
    kind: Text<'a>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct User<'a> {
    #[serde(borrow)]
    username: Text<'a>,
}

#[derive(Debug, Default)]
struct Envelope<'a> {
    version: Option<Text<'a>>,
    kind: Option<Text<'a>>,
    request: Option<Request<'a>>,
}

#[derive(Debug, Default)]
struct Request<'a> {
    uid: Text<'a>,
    kind: Kind<'a>,
    subresource: Text<'a>,
    operation: Text<'a>,
    name: Text<'a>,
    namespace: Text<'a>,
    user: User<'a>,
    dry_run: bool,
    object: Option<Value>,
    old: Option<Value>,
    /// An object was skipped, or read as another kind's, because the kind came after it.
    too_late: bool,
}

impl Request<'_> {
    fn known(&self) -> Option<&'static KnownKind> {
        known_kind(&self.kind.group.0, &self.kind.kind.0)
    }
}

#[derive(Deserialize)]
#[serde(field_identifier, rename_all = "camelCase")]
enum EnvelopeField {
    ApiVersion,
    Kind,
    Request,
    #[serde(other)]
    Other,
}

#[derive(Deserialize)]
#[serde(field_identifier, rename_all = "camelCase")]
enum RequestField {
    Uid,
    Kind,
    SubResource,
    Operation,
    Name,
    Namespace,
    UserInfo,
    DryRun,
    Object,
    OldObject,
    #[serde(other)]
    Other,
}

struct EnvelopeSeed {
    kind: Told,
}

impl<'de> DeserializeSeed<'de> for EnvelopeSeed {
    type Value = Envelope<'de>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Envelope<'de>, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for EnvelopeSeed {
    type Value = Envelope<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Envelope<'de>, A::Error> {
        let mut envelope = Envelope::default();
        // A field that stands twice: the last one counts, as for Go.
        while let Some(field) = map.next_key()? {
            match field {
                EnvelopeField::ApiVersion => envelope.version = map.next_value()?,
                EnvelopeField::Kind => envelope.kind = map.next_value()?,
                EnvelopeField::Request => {
                    envelope.request = map.next_value_seed(Nullable(RequestSeed { kind: self.kind }))?;
                }
                EnvelopeField::Other => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(envelope)
    }
}

struct RequestSeed {
    kind: Told,
}

impl<'de> DeserializeSeed<'de> for RequestSeed {
    type Value = Request<'de>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Request<'de>, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for RequestSeed {
    type Value = Request<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Request<'de>, A::Error> {
        let mut request = Request::default();
        let (mut kind_read, mut objects_read) = (false, false);
        let budget = Budget::new(MOST_VALUES);
        while let Some(field) = map.next_key()? {
            match field {
                RequestField::Uid => request.uid = or_empty(map.next_value()?),
                RequestField::Kind => {
                    request.kind = or_empty(map.next_value()?);
                    kind_read = true;
                    request.too_late |= objects_read && matches!(self.kind, Told::ByTheReview);
                }
                RequestField::SubResource => request.subresource = or_empty(map.next_value()?),
                RequestField::Operation => request.operation = or_empty(map.next_value()?),
                RequestField::Name => request.name = or_empty(map.next_value()?),
                RequestField::Namespace => request.namespace = or_empty(map.next_value()?),
                RequestField::UserInfo => request.user = or_empty(map.next_value()?),
                RequestField::DryRun => request.dry_run = or_empty(map.next_value()?),
                RequestField::Object | RequestField::OldObject => {
                    let known = match self.kind {
                        Told::Before(known) => known,
                        Told::ByTheReview if kind_read => request.known(),
                        Told::ByTheReview => None,
                    };
                    objects_read = true;
                    let keep = known.map_or(&Keep::Mark, |k| &k.keep);
                    let value = Some(map.next_value_seed(keep.seed(&budget))?);
                    match field {
                        RequestField::Object => request.object = value,
                        _ => request.old = value,
                    }
                }
                RequestField::Other => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(request)
    }
}

/// Go's decoder takes null for "not given".
fn or_empty<T: Default>(value: Option<T>) -> T {
    value.unwrap_or_default()
}

/// A value that may be null.
struct Nullable<S>(S);

impl<'de, S: DeserializeSeed<'de>> DeserializeSeed<'de> for Nullable<S> {
    type Value = Option<S::Value>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_option(self)
    }
}

impl<'de, S: DeserializeSeed<'de>> Visitor<'de> for Nullable<S> {
    type Value = Option<S::Value>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object or null")
    }

    fn visit_none<E>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        self.0.deserialize(deserializer).map(Some)
    }
}

#[cfg(test)]
#[path = "review_tests.rs"]
mod tests;
