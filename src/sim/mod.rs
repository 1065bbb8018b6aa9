//! A simulated data centre that speaks the real protocols on loopback: for the demo, for load and for faults.

pub mod world;
