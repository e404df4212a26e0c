//! `quorate-model`: check the specification, break it, list what is claimed.

mod cli;

/// The allocator counts, so that a check can say what a state costs.
#[global_allocator]
static ALLOCATOR: peak_alloc::PeakAlloc = peak_alloc::PeakAlloc;

/// What the allocator knows.
mod memory {
    pub(crate) fn now() -> usize {
        super::ALLOCATOR.current_usage()
    }

    pub(crate) fn peak() -> usize {
        super::ALLOCATOR.peak_usage()
    }

    pub(crate) fn reset() {
        super::ALLOCATOR.reset_peak_usage();
    }
}

fn main() -> std::process::ExitCode {
    cli::run()
}
