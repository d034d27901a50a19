//! The dspipe compiler.
