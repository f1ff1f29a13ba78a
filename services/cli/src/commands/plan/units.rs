//! Units of the arithmetic, in bytes and seconds.

pub const DAY_SECONDS: f64 = 86_400.0;
pub const MIB: f64 = 1024.0 * 1024.0;
pub const GIB: f64 = 1024.0 * MIB;
