//! The dspipe runtime.
