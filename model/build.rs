//! Tells the program which specification it was built with: a hash of the code in `spec/src`, without
//! its comments and blank lines, so that a recorded result can say whether it is of this one.

use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

fn main() {
    let spec = Path::new("../spec/src");
    println!("cargo::rerun-if-changed={}", spec.display());
    let mut files = Vec::new();
    sources(spec, &mut files);
    files.sort();
    let mut hash = Sha256::new();
    for file in &files {
        let code = std::fs::read_to_string(file).expect("a source file is text");
        hash.update(file.to_string_lossy().replace('\\', "/"));
        for line in code.lines().map(str::trim) {
            if !line.is_empty() && !line.starts_with("//") {
                hash.update(line);
                hash.update("\n");
            }
        }
    }
    let short: String = hash.finalize().iter().take(6).map(|byte| format!("{byte:02x}")).collect();
    println!("cargo::rustc-env=QUORATE_SPEC_HASH={short}");
}

/// Every source file below this folder.
fn sources(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("the specification is beside the model") {
        let path = entry.expect("its folder can be read").path();
        if path.is_dir() {
            sources(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}
