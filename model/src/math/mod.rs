//! The mathematics of agreement, in floating point, beside the checks and not part of them: which
//! splits of a network are dangerous, how far election timeouts have to be apart, how long a commit
//! takes. What can be written as a formula is one; what cannot is measured by [`cluster`], which
//! gives the transition functions of production a clock, delays and disks. `quorate-model math`
//! prints it, and `docs/math.md` shows it.

pub mod binomial;
pub mod cluster;
pub mod delay;
pub mod estimate;
pub mod jitter;
pub mod latency;
pub mod plot;
pub mod quorum;
