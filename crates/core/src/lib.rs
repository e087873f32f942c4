//! What dbscale knows and decides, without any I/O: the engine catalog, quantities, size classes, the rules and the plans.

pub mod amount;
pub mod catalog;
pub mod change;
pub mod claims;
pub mod database;
pub mod drift;
pub mod effect;
pub mod entries;
pub mod facts;
pub mod finding;
pub mod growth;
pub mod json;
pub mod managed;
pub mod ownership;
pub mod plan;
pub mod policy;
pub mod preflight;
pub mod progress;
pub mod quantity;
pub mod queue;
pub mod record;
pub mod retention;
pub mod rollback;
pub mod rules;
pub mod size;
pub mod status;
