//! `quorate-model lab`.

use quorate_model::explorer::{choose, url};
use quorate_model::lab::{SCENES, Setup, bind};

use super::{AS_DECLARED, Usage, unknown};

#[derive(clap::Args)]
pub(super) struct Arguments {
    /// The scene to open: pre-vote, one-way, phantom, storm or own
    scene: Option<String>,
    /// Where to listen; port 0 stands for any free one
    #[arg(long, value_name = "IP:PORT", default_value = "127.0.0.1:3001")]
    address: String,
    /// Listen on an address that other machines reach: they can run scenes on this one
    #[arg(long)]
    allow_remote: bool,
}

pub(super) fn run(arguments: &Arguments) -> Result<u8, Usage> {
    let name = arguments.scene.as_deref().unwrap_or(SCENES[0].id);
    let known: Vec<&str> = SCENES.iter().map(|scene| scene.id).collect();
    let scene = SCENES.iter().find(|scene| scene.id == name);
    let scene = scene.ok_or_else(|| unknown("scene", name, &known))?;
    let chosen = choose(&arguments.address, arguments.allow_remote);
    let at = chosen.map_err(|error| Usage(error.to_string()))?;
    let bound = bind(at).map_err(|why| Usage(format!("cannot listen on {at}: {why}")))?;
    say!("{}: {}", scene.title, scene.question);
    say!("The lab in a browser: {}#{}", url(at), Setup::of(scene).address());
    say!("Ctrl-C ends it.");
    bound.serve();
    Ok(AS_DECLARED)
}
