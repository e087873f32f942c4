//! What dbscale knows and decides, without any I/O: the engine catalog, quantities, size classes, the rules and the plans.

pub mod catalog;
