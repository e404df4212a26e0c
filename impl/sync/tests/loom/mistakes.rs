//! Mistakes that more than one of the shared things could make.

use quorate_sync::Care;

/// Nobody is called for what is brought.
pub(crate) struct NeverCalls;

impl Care for NeverCalls {
    const WAKES: bool = false;
}

/// Nobody is called when the other one goes.
pub(crate) struct GoesSilently;

impl Care for GoesSilently {
    const WAKES_AT_THE_END: bool = false;
}

/// Whoever goes to wait does not look once more.
pub(crate) struct WaitsBlindly;

impl Care for WaitsBlindly {
    const LOOKS_AGAIN: bool = false;
}

/// What came before the end is left.
pub(crate) struct EndsAtOnce;

impl Care for EndsAtOnce {
    const EMPTIES_BEFORE_THE_END: bool = false;
}
