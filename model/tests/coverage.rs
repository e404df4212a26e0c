//! Coverage notes the steps of the explored graph, and no question that is asked about its states.

#![allow(missing_docs)]

use quorate_model::guards::{Guard, Guards};
use quorate_model::model::SliceModel;
use quorate_model::slices;
use stateright::Model;

#[test]
fn what_is_imagined_is_not_seen() {
    for slice in slices::all() {
        let model = SliceModel::new(slice, Guards::sound());
        let initial = model.plain_initial();
        assert!(model.false_claims(&initial).is_empty(), "slice {}", slice.name);
        let seen = model.coverage();
        for guard in Guard::ALL {
            let (name, outcomes) = (guard.name(), seen.guard(*guard));
            assert_eq!(outcomes, (false, false), "{name} was not asked in slice {}", slice.name);
        }
        assert!(seen.actions().is_empty() && seen.kinds().is_empty(), "slice {}", slice.name);
        assert!(seen.transitions().is_empty() && seen.refusals().is_empty(), "{}", slice.name);
        // A step of the graph is seen, so the silence above says something.
        model.next_steps(&initial);
        assert!(!seen.actions().is_empty(), "slice {}", slice.name);
        assert!(Guard::ALL.iter().any(|guard| seen.guard(*guard) != (false, false)));
    }
}
