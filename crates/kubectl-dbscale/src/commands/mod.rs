//! One module a kind of command.

pub mod cancel;
pub mod change;
pub mod cleanup;
pub mod completion;
pub mod lint;
pub mod plan;
pub mod reference;
pub mod wait;
