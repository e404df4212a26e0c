//! Links: a path as Stateright numbers its actions, and what the link was made for, so that the
//! page can say when it no longer fits.

use super::view;
use super::walk::{Header, Walk};

/// The link's part after the address: the path to the state after these actions, what is served,
/// and the fingerprint of that state. None where an action is not possible.
#[must_use]
pub fn hash<W: Walk>(walk: &W, header: &Header, actions: &[W::Action]) -> Option<String> {
    let mut state = walk.initial();
    let mut path = String::from("0");
    for action in actions {
        let steps = walk.steps(&state);
        let index = steps.iter().position(|(other, _)| other == action)?;
        path.push_str(&format!("/{index}"));
        state = steps[index].1.clone();
    }
    let fingerprint = view::state(&walk.cluster(&state), walk.verdicts(&state)).fingerprint;
    let mut hash = format!("#/steps/{path}?slice={}", escaped(&header.slice));
    if header.kind != "slice" {
        hash.push_str(&format!("&kind={}", header.kind));
    }
    if let Some(mutant) = &header.mutant {
        hash.push_str(&format!("&mutant={}", escaped(&mutant.name)));
    }
    hash.push_str(&format!("&state={fingerprint}"));
    Some(hash)
}

/// The state that a link leads to, by the components of its path; none where one does not fit.
#[must_use]
pub fn follow<W: Walk>(walk: &W, hash: &str) -> Option<W::State> {
    let path = hash.strip_prefix("#/steps/")?.split('?').next()?;
    let mut indices = path.split('/').map(str::parse::<usize>);
    let mut state = (indices.next()?.ok()? == 0).then(|| walk.initial())?;
    for index in indices {
        state = walk.steps(&state).into_iter().nth(index.ok()?)?.1;
    }
    Some(state)
}

/// A name as it may stand in a link.
fn escaped(name: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    let escape = |byte: u8| match plain(byte) {
        true => char::from(byte).to_string(),
        false => format!("%{byte:02X}"),
    };
    name.bytes().map(escape).collect()
}
