//! What dbscale knows and decides, without any I/O: the engine catalog, quantities, size classes, the rules and the plans.

pub mod amount;
pub mod catalog;
pub mod change;
pub mod database;
pub mod facts;
pub mod finding;
pub mod managed;
mod json;
pub mod ownership;
pub mod plan;
pub mod quantity;
pub mod rules;
pub mod size;
pub mod status;
