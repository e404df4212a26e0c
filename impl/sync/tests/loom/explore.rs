//! Runs a model in loom: counts its executions, and expects what is to be found.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use loom::model::Builder;

/// How many times at most a thread is interrupted where it need not be. None: as often as it can be.
pub(crate) type Preemptions = Option<usize>;

/// Tries every execution: it holds in all of them, and there are at least so many.
pub(crate) fn holds(
    name: &str,
    preemptions: Preemptions,
    least: usize,
    model: impl Fn() + Sync + Send + 'static,
) {
    let executions = run(preemptions, model);
    match executions {
        (count, None) => {
            println!("{name}: {count} executions");
            assert!(count >= least, "{name}: {count} executions, and there should be {least}");
        }
        (count, Some(found)) => panic!("{name}: execution {count}: {found}"),
    }
}

/// Tries executions until one is found that fails, and says this.
pub(crate) fn finds(
    name: &str,
    what: &str,
    preemptions: Preemptions,
    model: impl Fn() + Sync + Send + 'static,
) {
    match run(preemptions, model) {
        (count, None) => panic!("{name}: nothing is found in {count} executions"),
        (count, Some(found)) => {
            println!("{name}: found in execution {count}: {found}");
            assert!(found.contains(what), "{name}: found {found:?} instead of {what:?}");
        }
    }
}

/// How many executions there were, and what the last one failed with.
fn run(
    preemptions: Preemptions,
    model: impl Fn() + Sync + Send + 'static,
) -> (usize, Option<String>) {
    let count = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&count);
    let mut builder = Builder::new();
    builder.preemption_bound = preemptions;
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        builder.check(move || {
            counted.fetch_add(1, Ordering::Relaxed);
            model();
        });
    }));
    let found = outcome.err().map(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        text.or_else(|| panic.downcast_ref::<&str>().map(|it| (*it).to_owned()))
            .unwrap_or_else(|| "a panic without words".to_owned())
    });
    (count.load(Ordering::Relaxed), found)
}

#[test]
#[should_panic(expected = "1 executions, and there should be 2")]
fn a_model_of_things_that_loom_does_not_know_is_noticed() {
    holds("unknown to loom", None, 2, || {
        let number = Arc::new(AtomicUsize::new(0));
        let other = Arc::clone(&number);
        let thread = std::thread::spawn(move || other.store(1, Ordering::Relaxed));
        thread.join().expect("it stores a number");
        assert_eq!(number.load(Ordering::Relaxed), 1);
    });
}

#[test]
#[should_panic(expected = "nothing is found in")]
fn a_fault_that_is_not_found_is_noticed() {
    finds("no fault", "anything", None, || {});
}
