//! Every interleaving of the threads that share something, and every value that the memory model lets
//! them see. With `--cfg quorate_loom` alone; see `CONTRIBUTING.md` for the command.
//!
//! Each test says how many executions there are at least: a primitive that loom does not know would
//! leave one, and prove nothing. And each promise of `Care` is broken, and found.

#[cfg(quorate_loom)]
mod explore;
#[cfg(quorate_loom)]
mod group;
#[cfg(quorate_loom)]
mod mistakes;
#[cfg(quorate_loom)]
mod published;
#[cfg(quorate_loom)]
mod queue;
#[cfg(quorate_loom)]
mod slot;
