//! A meter's `prometheus` section, checked.

/// Series of a Prometheus server or of another exporter.
#[derive(Debug, Clone)]
pub struct Prometheus {}
