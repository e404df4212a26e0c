//! A disk that is full, and a sync that fails: nothing more is acknowledged, and all that was is there
//! when the directory is opened again.

use std::env;
use std::path::Path;
use std::process::{Command, Output};

use crate::child::{acknowledged, arguments, holds, prepare};
use quorate::Storage;

use crate::copies::Copies;

const LENGTH: u64 = 60_000;

/// Starts the writer with the help of another program, on a directory that is there already.
async fn write_until_it_fails(disk: &Copies, mut helper: Command) -> String {
    disk.open().expect("it is new").close().await;
    helper.arg(env::current_exe().expect("this is a program")).args(arguments());
    let Output { stdout, .. } =
        prepare(&mut helper, disk.path(), LENGTH).output().expect("it can be started");
    String::from_utf8(stdout).expect("it is text")
}

async fn nothing_is_lost(folder: &Path, said: &str, reason: &str) {
    let failed = said.lines().find(|line| line.starts_with("failed "));
    let failed = failed.unwrap_or_else(|| panic!("it has not failed: {said}"));
    assert!(failed.contains(reason) && failed.contains("make room or check the disk"), "{failed}");
    assert!(said.contains("acknowledged after it: 0"), "{said}");
    let durable = acknowledged(said);
    assert!(durable > 0, "something was written before: {said}");
    holds(folder, durable, LENGTH).await;
}

#[cfg(unix)]
#[tokio::test]
async fn a_full_disk_stops_the_writer_and_loses_nothing() {
    let disk = Copies::new();
    // Files may not grow beyond some 20 MiB, and a signal that would say so is ignored.
    let mut shell = Command::new("sh");
    shell.args(["-c", "trap '' XFSZ; ulimit -f 40000; exec \"$@\"", "sh"]);
    let said = write_until_it_fails(&disk, shell).await;
    nothing_is_lost(disk.path(), &said, "File too large").await;
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_failed_sync_stops_the_writer_and_loses_nothing() {
    let can_inject = Command::new("strace").args(["-f", "-o", "/dev/null", "true"]).status();
    if !can_inject.is_ok_and(|status| status.success()) {
        return println!("SKIPPED: strace is not there, or may not trace");
    }
    let disk = Copies::new();
    let mut strace = Command::new("strace");
    let inject = "inject=fdatasync:error=EIO:when=25+";
    strace.args(["-f", "-o", "/dev/null", "-e", "trace=fdatasync", "-e", inject]);
    let said = write_until_it_fails(&disk, strace).await;
    nothing_is_lost(disk.path(), &said, "Input/output error").await;
}
