# The commands that people type. `just` alone lists them.

default:
    @just --list

# Check the specification exhaustively (about seven minutes on two cores)
check *SLICES:
    cargo run --release -p quorate-model -- check {{SLICES}}

# Break the guards one by one and see the claims fail
mutants *NAMES:
    cargo run --release -p quorate-model -- mutants {{NAMES}}

# Walk through a slice or a mutant's counterexample in a browser
explore *ARGUMENTS:
    cargo run --release -p quorate-model -- explore {{ARGUMENTS}}

# Drive clusters in a browser, side by side under the same faults
lab *ARGUMENTS:
    cargo run --release -p quorate-model -- lab {{ARGUMENTS}}

# Take the pictures of the README anew
screenshots:
    cargo test -p quorate-tests --test lab -- --ignored screenshot
    cargo test -p quorate-tests --test browser -- --ignored screenshots

# All tests, the default slices included
test:
    cargo test

# Try every interleaving of the threads of a node (two minutes to build at first, then seconds)
loom *ARGUMENTS:
    RUSTFLAGS="--cfg quorate_loom -D warnings" cargo test -p quorate-sync --test loom --target-dir target/loom -- {{ARGUMENTS}}

# Whole nodes in a simulated world: so many times as many runs as in the tests (a minute for 10)
simulate SCALE="10":
    QUORATE_SCALE={{SCALE}} cargo test -p quorate --lib sim:: -- --nocapture

# Write CLAIMS.md anew
claims:
    cargo run --release -p quorate-model -- claims

# Three nodes on this machine's disk and loopback: rates, latencies, costs (half a minute)
bench *ARGUMENTS:
    cargo run --release -p quorate --example bench -- {{ARGUMENTS}}

# A node that was away catches up by 256 MiB under 5,000 writes a second (a minute, 3 GiB of memory)
catch-up *ARGUMENTS:
    cargo run --release -p quorate --example catch_up -- {{ARGUMENTS}}

# Quorate and openraft in one run, by turns (three minutes; see peers/README.md)
peers *ARGUMENTS:
    cargo run --release --locked --manifest-path peers/Cargo.toml -- {{ARGUMENTS}}

# Hostile bytes for a minute each: from the network, and on the disk (nightly, and `cargo install cargo-fuzz`)
fuzz:
    cargo +nightly fuzz run packet -- -max_total_time=60
    cargo +nightly fuzz run strangers -- -max_total_time=60
    cargo +nightly fuzz run recovery -- -max_total_time=60 -len_control=0 -max_len=60

# Undefined behaviour in what reads bytes and in what threads share (nightly, with miri): some minutes
miri:
    MIRIFLAGS=-Zmiri-many-seeds=0..16 cargo +nightly miri test -p quorate-sync --lib --target-dir target/miri
    QUICKCHECK_TESTS=3 PROPTEST_CASES=3 MIRIFLAGS=-Zmiri-disable-isolation cargo +nightly miri test -p quorate --lib --target-dir target/miri -- codec mark:: record:: envelope letter laws:: net::frame

# The mathematics: dangerous splits, election timeouts, commit latency (`just math quorum`)
math *ARGUMENTS:
    cargo run --release -p quorate-model -- math {{ARGUMENTS}}

# Write the figures of docs/math.md anew
figures:
    cargo run --release -p quorate-model -- math plots --out docs/math

# What CI runs
ci:
    bash .ci/run

# Format, and the lints with warnings denied
lint:
    cargo fmt --all
    cargo clippy --workspace --all-targets -- -D warnings
