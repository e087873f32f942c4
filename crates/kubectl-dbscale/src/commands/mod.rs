//! One module a kind of command.

pub mod again;
pub mod apply;
pub mod cancel;
pub mod change;
pub mod cleanup;
pub mod completion;
pub mod describe;
pub mod doctor;
pub mod history;
pub mod lint;
pub mod plan;
pub mod policy;
pub mod reference;
pub mod retry;
pub mod rollback;
pub mod version;
pub mod wait;
