//! One kind of objects: the list in use, and a new one that is being read.

use std::collections::HashMap;

use serde_json::Value;

use super::Event;

/// One kind of objects, by `<namespace>/<name>`.
#[derive(Debug)]
pub(super) struct Store<T> {
    pub(super) items: HashMap<Box<str>, T>,
    /// A new list that is not complete yet.
    pub(super) filling: Option<HashMap<Box<str>, T>>,
    pub(super) state: State,
}

/// How far a kind is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum State {
    /// The server does not have it.
    Absent,
    /// It is being read, or cannot be, for a reason.
    Waiting(String),
    /// All of it is known.
    Synced,
}

impl<T> Default for Store<T> {
    fn default() -> Self {
        Self { items: HashMap::new(), filling: None, state: State::Absent }
    }
}

impl<T> Store<T> {
    /// Where changes go: into the list that is being filled, else into the one in use.
    fn open(&mut self) -> &mut HashMap<Box<str>, T> {
        self.filling.as_mut().unwrap_or(&mut self.items)
    }

    fn finish(&mut self) {
        if let Some(filled) = self.filling.take() {
            self.items = filled;
        }
        self.items.shrink_to_fit();
        self.state = State::Synced;
    }
}

/// Takes an event into a store; `put` writes one object, which is there or is gone.
pub(super) fn feed<T>(
    store: &mut Store<T>,
    event: &Event<'_>,
    put: impl FnOnce(&mut HashMap<Box<str>, T>, &Value, bool),
) {
    match event {
        Event::Begin => {
            store.filling = Some(HashMap::new());
            if store.state != State::Synced {
                store.state = State::Waiting("not read yet".to_owned());
            }
        }
        Event::Complete => store.finish(),
        Event::Apply(object) => put(store.open(), object, true),
        Event::Delete(object) => put(store.open(), object, false),
        Event::Broken(why) => {
            if store.state != State::Synced {
                store.state = State::Waiting(why.clone());
            }
        }
        Event::Absent => *store = Store::default(),
    }
}
