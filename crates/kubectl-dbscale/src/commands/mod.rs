//! One module a kind of command.

pub mod change;
pub mod lint;
pub mod plan;
pub mod reference;
pub mod wait;
