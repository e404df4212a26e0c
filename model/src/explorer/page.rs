//! The page: Stateright serves it from the folder `ui` of the working directory, where there is
//! one, in place of its own.

use std::path::Path;
use std::sync::{Mutex, Once};
use std::{fs, io, process};

use tempfile::TempDir;

const FILES: [(&str, &str); 4] = [
    ("index.htm", include_str!("../../ui/index.htm")),
    ("app.css", include_str!("../../ui/app.css")),
    ("app.js", SCRIPT),
    // Stateright would serve its own copy of this library; the page does without.
    ("knockout-3.5.0.js", ""),
];

/// Stateright serves one script of this name, so what is in several files is one there.
const SCRIPT: &str = concat!(
    include_str!("../../ui/grid.js"),
    include_str!("../../ui/step.js"),
    include_str!("../../ui/app.js"),
);

/// The folder of this process, for as long as it serves.
static FOLDER: Mutex<Option<TempDir>> = Mutex::new(None);
static AT_THE_END: Once = Once::new();

/// Unpacks the page into a temporary folder, once, and makes that the working directory.
pub(super) fn unpack() -> io::Result<()> {
    let mut folder = FOLDER.lock().expect("no thread panics here");
    if folder.is_some() {
        return Ok(());
    }
    let fresh = tempfile::Builder::new().prefix("quorate-explorer-").tempdir()?;
    write(fresh.path())?;
    std::env::set_current_dir(fresh.path())?;
    *folder = Some(fresh);
    Ok(())
}

fn write(folder: &Path) -> io::Result<()> {
    let ui = folder.join("ui");
    fs::create_dir(&ui)?;
    FILES.iter().try_for_each(|(name, content)| fs::write(ui.join(name), content))
}

/// Removes the folder.
pub(super) fn remove() {
    if let Ok(mut folder) = FOLDER.lock() {
        drop(folder.take());
    }
}

/// Removes the folder when the process is told to end.
pub(super) fn remove_at_the_end() {
    AT_THE_END.call_once(|| {
        // Without a handler the process ends all the same, and leaves the folder.
        let _ = ctrlc::set_handler(|| {
            remove();
            process::exit(130);
        });
    });
}
