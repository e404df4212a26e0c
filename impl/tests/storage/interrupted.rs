//! The creation of a directory is interrupted: what is left is begun again, or was finished. And what
//! was made is durable under its name.
#![cfg(target_os = "linux")]

use std::env;
use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use quorate::disk::DiskOptions;
use quorate::{DiskStorage, Storage};
use quorate_spec::Configuration;

use crate::child::{acknowledged, arguments, holds, prepare};
use crate::copies::{Copies, configuration, options};

const LENGTH: u64 = 60;

/// Starts the writer under strace, which says what it did with files; and what the writer said.
fn traced(folder: &Path, inject: &str) -> Option<(String, String)> {
    let can_inject = Command::new("strace").args(["-f", "-o", "/dev/null", "true"]).status();
    if !can_inject.is_ok_and(|status| status.success()) {
        println!("SKIPPED: strace is not there, or may not trace");
        return None;
    }
    let log = tempfile::NamedTempFile::new().expect("there is room");
    let mut strace = Command::new("strace");
    strace.args(["-f", "-y", "-e", "trace=mkdir,rename,fsync,fdatasync", "-e", inject]);
    strace.arg("-o").arg(log.path()).arg(env::current_exe().expect("this is a program"));
    let writer = prepare(strace.args(arguments()), folder, LENGTH);
    let Output { stdout, .. } = writer.output().expect("it can be started");
    let said = String::from_utf8(stdout).expect("it is text");
    Some((fs::read_to_string(log.path()).expect("it is text"), said))
}

#[tokio::test]
async fn a_creation_that_is_killed_anywhere_is_begun_again_or_was_finished() {
    let mut finished = 0;
    for call in ["fsync", "rename"] {
        for when in 1.. {
            let disk = Copies::new();
            let Some((_, said)) =
                traced(disk.path(), &format!("inject={call}:signal=SIGKILL:when={when}"))
            else {
                return;
            };
            // What a new directory is to begin with is for new ones, whoever says what is one.
            let is_there = DiskStorage::is_at(disk.path());
            let configuration = if is_there { Configuration::default() } else { configuration() };
            let opened = DiskStorage::open(disk.path(), DiskOptions { configuration, ..options() });
            let storage = opened.unwrap_or_else(|error| panic!("{call} {when}: {error}"));
            let found = storage.recovered().log;
            assert_eq!(*found.configuration(), crate::copies::configuration(), "{call} {when}");
            storage.close().await;
            holds(disk.path(), acknowledged(&said), LENGTH).await;
            if acknowledged(&said) > 0 {
                assert!(is_there && when > 3, "{call} {when}");
                finished += 1;
                break;
            }
        }
    }
    assert_eq!(finished, 2);
}

#[tokio::test]
async fn the_name_of_each_directory_is_synced_before_anything_is_acknowledged() {
    let disk = Copies::new();
    let above = disk.path().join("a");
    let folder = above.join("b");
    let inject = "inject=fdatasync:signal=SIGKILL:when=25";
    let Some((trace, said)) = traced(&folder, inject) else { return };
    assert!(acknowledged(&said) > 0, "{said}");
    let made = [
        (above.clone(), disk.path().to_path_buf()),
        (folder.clone(), above),
        (folder.join("states"), folder.clone()),
    ];
    for (made, within) in made {
        let line = format!("mkdir(\"{}\"", made.display());
        let (_, after) = trace.split_once(&line).unwrap_or_else(|| panic!("{line}: {trace}"));
        let synced = |line: &str| {
            line.contains("fsync(") && line.contains(&format!("<{}>", within.display()))
        };
        assert!(after.lines().any(synced), "{} in {trace}", made.display());
    }
}
