//! `quorate-model explore`.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use indicatif::ProgressBar;
use quorate_model::actors::can_act;
use quorate_model::explorer::{
    ActorWalk, Counterexample, SliceWalk, TraceWalk, Walk, choose, clean_up_at_the_end, export,
    link, serve, url,
};
use quorate_model::mutation::Mutation;
use quorate_model::simulation::{Trace, run as simulate};
use quorate_model::slice::Slice;
use quorate_model::{narrate, slices};
use quorate_spec::property::Claim;

use super::{AS_DECLARED, Usage, unknown};

/// What is explored where nothing is named.
const DEFAULT: &str = "replication";

#[derive(clap::Args)]
pub(super) struct Arguments {
    /// The slice to explore; with a mutant, one of those that find it
    slice: Option<String>,
    /// Break a guard, find the shortest counterexample, and open on it
    #[arg(long, value_name = "NAME")]
    mutant: Option<String>,
    /// Find the shortest trace of the slice on which this claim fails, under the rules as they are
    /// here, and open on it
    #[arg(long, value_name = "NAME", requires = "slice", conflicts_with_all = ["mutant", "actors", "trace"])]
    claim: Option<String>,
    /// Explore Stateright's actor model of the slice instead of the direct one
    #[arg(long)]
    actors: bool,
    /// Walk through the run that a trace file records, as a failing test of the simulation writes it
    #[arg(long, value_name = "FILE")]
    trace: Option<PathBuf>,
    /// Write the way to the violation to a file, and serve nothing: a name that ends in .scenario for
    /// a regression scenario, any other for JSON
    #[arg(long, value_name = "FILE", conflicts_with = "address")]
    export: Option<PathBuf>,
    /// Where to listen; port 0 stands for any free one
    #[arg(long, value_name = "IP:PORT", default_value = "127.0.0.1:3000")]
    address: String,
    /// Listen on an address that other machines reach: they can read and drive the Explorer
    #[arg(long)]
    allow_remote: bool,
}

/// Where a walk goes: to the browser, or to a file.
struct Destination<'a> {
    at: SocketAddr,
    export: Option<&'a Path>,
}

pub(super) fn run(arguments: &Arguments) -> Result<u8, Usage> {
    super::writable(&arguments.export)?;
    if let Some(file) = &arguments.trace {
        return open_trace(file, arguments);
    }
    let slice = arguments.slice.as_deref().map(slice_named).transpose()?;
    let mutation = arguments.mutant.as_deref().map(mutation_named).transpose()?;
    let slices = candidates(slice, mutation, arguments.actors)?;
    let to = destination(arguments)?;
    if let Some(name) = &arguments.claim {
        return open_violation(slices[0], claim_named(name)?, &to);
    }
    match (mutation, arguments.actors) {
        (None, false) => open(SliceWalk::sound(slices[0]), &to),
        (Some(mutation), false) => open_counterexample(mutation, &slices, &to),
        (_, true) => open_actors(&slices, mutation, &to),
    }
}

fn destination(arguments: &Arguments) -> Result<Destination<'_>, Usage> {
    let chosen = choose(&arguments.address, arguments.allow_remote);
    let at = chosen.map_err(|error| Usage(error.to_string()))?;
    let found = arguments.mutant.is_some() || arguments.claim.is_some();
    let counterexample = found && !arguments.actors && arguments.trace.is_none();
    if arguments.export.as_deref().is_some_and(is_scenario) && !counterexample {
        return Err(Usage(
            "a regression scenario is of a counterexample in a slice: name a mutant or a claim, \
             without --actors, or another file for JSON"
                .to_owned(),
        ));
    }
    Ok(Destination { at, export: arguments.export.as_deref() })
}

fn slice_named(name: &str) -> Result<Slice, Usage> {
    let known: Vec<&str> = slices::all().iter().map(|slice| slice.name).collect();
    slices::named(name).ok_or_else(|| unknown("slice", name, &known))
}

fn mutation_named(name: &str) -> Result<Mutation, Usage> {
    let known: Vec<&str> = Mutation::ALL.iter().map(|mutation| mutation.name()).collect();
    let found = Mutation::ALL.iter().find(|mutation| mutation.name() == name);
    found.copied().ok_or_else(|| unknown("mutant", name, &known))
}

fn claim_named(name: &str) -> Result<Claim, Usage> {
    let found = Claim::ALL.iter().find(|claim| claim.name() == name);
    found.copied().ok_or_else(|| unknown("claim", name, &Claim::ALL.map(Claim::name)))
}

/// The slices that fit what was asked for, at least one.
fn candidates(
    slice: Option<Slice>,
    mutation: Option<Mutation>,
    actors: bool,
) -> Result<Vec<Slice>, Usage> {
    let mut names: Vec<&str> = mutation.map_or_else(|| vec![DEFAULT], |m| m.slices().to_vec());
    if let Some(slice) = slice {
        if let Some(mutation) = mutation.filter(|m| !m.slices().contains(&slice.name)) {
            let (mutant, finds) = (mutation.name(), mutation.slices().join(" or "));
            return Err(Usage(format!(
                "slice {} is not one that finds {mutant}: leave it out, or name {finds}",
                slice.name
            )));
        }
        names = vec![slice.name];
    }
    let mut slices: Vec<Slice> = names.iter().filter_map(|name| slices::named(name)).collect();
    if actors {
        slices.retain(can_act);
    }
    if slices.is_empty() {
        let names = names.join(", ");
        return Err(Usage(format!(
            "actors do not have every feature of slice {names} (crashes, operators, heartbeats \
             beside entries, cuts, an established leader): leave out --actors, or name another slice"
        )));
    }
    Ok(slices)
}

/// What is found while a line says that it is looked for.
fn searched(search: impl FnOnce() -> Option<Counterexample>) -> Option<Counterexample> {
    let bar = ProgressBar::new_spinner().with_message("searching for the shortest trace");
    bar.enable_steady_tick(Duration::from_millis(200));
    let found = search();
    bar.finish_and_clear();
    found
}

fn open_violation(slice: Slice, claim: Claim, to: &Destination) -> Result<u8, Usage> {
    let name = slice.name;
    if !slice.claims.contains(claim) {
        return Err(Usage(format!(
            "{claim} is not checked in slice {name}: CLAIMS.md says where it is"
        )));
    }
    let found = searched(|| Counterexample::under_present_rules(slice, claim));
    let Some(found) = found else {
        return Err(Usage(format!(
            "no trace of slice {name} on which {claim} fails was found: it holds there under the rules \
             that this program was built with. Was one broken, and the program built again?"
        )));
    };
    show(found, to)
}

/// Tells the trace, and serves it or writes it.
fn show(found: Counterexample, to: &Destination) -> Result<u8, Usage> {
    let Counterexample { walk, claim, trace } = &found;
    say!("{}\n", narrate::trace(walk.model(), trace, *claim));
    if let Some(file) = to.export.filter(|file| is_scenario(file)) {
        return write(file, &found.scenario().to_string());
    }
    let actions = found.actions();
    if to.export.is_none() {
        say!("The violation in the Explorer: {}", link(walk, to.at, &actions));
    }
    finish(found.walk, &actions, to)
}

fn is_scenario(file: &Path) -> bool {
    file.extension().is_some_and(|extension| extension == "scenario")
}

/// Serves the walk, or writes the way through these actions.
fn finish<W: Walk>(walk: W, actions: &[W::Action], to: &Destination) -> Result<u8, Usage> {
    let Some(file) = to.export else { return serve_until_told(walk, to.at) };
    let document = export(walk, actions).expect("the way is one of the walk");
    let text = serde_json::to_string_pretty(&document).expect("its keys are strings");
    write(file, &format!("{text}\n"))
}

fn write(file: &Path, text: &str) -> Result<u8, Usage> {
    let shown = file.display();
    std::fs::write(file, text)
        .map_err(|error| Usage(format!("cannot write {shown}: {error}; name another file")))?;
    say!("written to {shown}");
    Ok(AS_DECLARED)
}

fn open_counterexample(
    mutation: Mutation,
    slices: &[Slice],
    to: &Destination,
) -> Result<u8, Usage> {
    let Some(found) = searched(|| Counterexample::find(mutation, slices)) else {
        let names: Vec<_> = slices.iter().map(|slice| slice.name).collect();
        let (mutant, names) = (mutation.name(), names.join(", "));
        return Err(Usage(format!("{mutant} survives {names}: there is nothing to show")));
    };
    say!("{}: {}", mutation.name(), mutation.about());
    show(found, to)
}

fn open_actors(
    slices: &[Slice],
    mutation: Option<Mutation>,
    to: &Destination,
) -> Result<u8, Usage> {
    let mut walk = ActorWalk::of(&slices[0], mutation).expect("actors have what this slice has");
    let Some(mutation) = mutation else { return open(walk, to) };
    let (mutant, claim) = (mutation.name(), mutation.killer().name());
    say!("{mutant}: {}", mutation.about());
    if let Some(actions) = walk.find_counterexample() {
        say!("{claim} is false after {} steps of the actor model.\n", actions.len());
        if to.export.is_none() {
            say!("The violation in the Explorer: {}", link(&walk, to.at, &actions));
        }
        return finish(walk, &actions, to);
    }
    say!("No violation of {claim} is near enough in the actor model; it opens at the start.\n");
    open(walk, to)
}

fn open_trace(file: &Path, arguments: &Arguments) -> Result<u8, Usage> {
    let others = [
        (arguments.slice.is_some(), "the slice"),
        (arguments.mutant.is_some(), "--mutant"),
        (arguments.actors, "--actors"),
    ];
    let others: Vec<_> = others.iter().filter(|(given, _)| *given).map(|(_, what)| *what).collect();
    if !others.is_empty() {
        let others = others.join(" and ");
        return Err(Usage(format!("a trace file says itself what runs: leave out {others}")));
    }
    let shown = file.display();
    // Serving changes the working directory, so the file is read here.
    let text = std::fs::read_to_string(file)
        .map_err(|error| Usage(format!("cannot read {shown}: {error}")))?;
    let name = file.file_name().unwrap_or(file.as_os_str()).to_string_lossy();
    let refused = |error: &dyn std::error::Error| Usage(format!("{shown}: {error}"));
    let walk = TraceWalk::of_file(&name, &text).map_err(|error| refused(&error))?;
    let (setup, trace) = Trace::parse(&text).map_err(|error| refused(&error))?;
    let to = destination(arguments)?;
    say!("trace {name}: {setup}, {} steps", walk.last());
    match simulate(&setup, &trace) {
        Ok(_) => say!("Nothing is false in it.\n"),
        Err(failure) => say!("False at the end: {}\n", failure.found),
    }
    if to.export.is_none() {
        say!("The last step in the Explorer: {}{}", url(to.at), walk.link());
    }
    let actions: Vec<usize> = (1..=walk.last()).collect();
    finish(walk, &actions, &to)
}

fn open<W: Walk>(walk: W, to: &Destination) -> Result<u8, Usage> {
    let header = walk.header();
    say!("{} {}: {}", header.kind, header.slice, header.about);
    say!("{}\n", header.bounds);
    if to.export.is_none() {
        say!("The start in the Explorer: {}", link(&walk, to.at, &[]));
    }
    finish(walk, &[], to)
}

fn serve_until_told<W: Walk>(walk: W, at: SocketAddr) -> Result<u8, Usage> {
    say!("Ctrl-C ends it.");
    clean_up_at_the_end();
    serve(walk, at).map_err(|error| Usage(error.to_string()))?;
    Ok(AS_DECLARED)
}
