//! Parts of the configuration that are best tested from inside.
