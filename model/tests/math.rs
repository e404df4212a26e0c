//! The mathematics: every formula against a deliberately dumb alternative, and against the transition
//! functions. All random numbers have fixed seeds, so nothing here fails by bad luck.

#![allow(missing_docs)]

use std::path::Path;

use crate::common::{quorate_model, refusal};
use quickcheck::{Gen, QuickCheck, Testable};
use quorate_model::math::binomial::{at_least, at_least_of, choose};
use quorate_model::math::estimate::{Estimate, Share, Z95};
use quorate_model::math::jitter::{self, Setting};
use quorate_model::math::latency::Fleet;
use quorate_model::math::quorum::{self, Change, Splits};
use quorate_spec::{Duration, ParamsError};

/// How many standard errors a simulation may be away from its formula: about one comparison in
/// 16,000 would be, if the formula is right.
const FAR: f64 = 4.0;

fn check<A: Testable>(tests: u64, law: A) {
    let rng = Gen::from_size_and_seed(60, 0x0071_0a7e);
    QuickCheck::new().rng(rng).tests(tests).max_tests(tests * 2).quickcheck(law);
}

/// Up to ten probabilities.
fn probabilities(numbers: &[u16]) -> Vec<f64> {
    numbers.iter().take(10).map(|n| f64::from(*n) / f64::from(u16::MAX)).collect()
}

/// The same by brute force: every subset of the events is what happens, with its probability.
fn at_least_by_subsets(k: usize, probabilities: &[f64]) -> f64 {
    let happens = |subset: usize, event: usize| subset & (1 << event) != 0;
    let weight = |subset: usize| -> f64 {
        let factor = |(event, p): (usize, &f64)| if happens(subset, event) { *p } else { 1.0 - p };
        probabilities.iter().enumerate().map(factor).product()
    };
    let subsets = 0..1_usize << probabilities.len();
    subsets.filter(|subset| subset.count_ones() as usize >= k).map(weight).sum()
}

#[test]
fn binomial_coefficients_are_pascals() {
    for n in 1..=20 {
        for k in 1..=n {
            assert_eq!(choose(n, k), choose(n - 1, k - 1) + choose(n - 1, k), "{n} {k}");
        }
        assert_eq!((choose(n, 0), choose(n, n), choose(n, n + 1)), (1, 1, 0));
    }
}

#[test]
fn so_many_of_independent_events_happen_as_a_count_of_all_subsets_says() {
    fn law(numbers: Vec<u16>, k: u8) -> bool {
        let p = probabilities(&numbers);
        let k = usize::from(k) % (p.len() + 1);
        (at_least_of(k, &p) - at_least_by_subsets(k, &p)).abs() < 1e-12
    }
    check(300, law as fn(Vec<u16>, u8) -> bool);
}

#[test]
fn so_many_of_equal_events_happen_as_unequal_ones_do_that_are_equal() {
    fn law(n: u8, k: u8, p: u16) -> bool {
        let (n, p) = (n % 12, f64::from(p) / f64::from(u16::MAX));
        let k = k % (n + 1);
        let one_by_one = at_least_of(usize::from(k), &vec![p; usize::from(n)]);
        (at_least(k.into(), n.into(), p) - one_by_one).abs() < 1e-12
    }
    check(300, law as fn(u8, u8, u16) -> bool);
}

#[test]
fn six_servers_with_a_quorum_of_three_split_dangerously_in_20_of_62_ways() {
    let three = Splits::of(6, 3);
    assert_eq!((three.splits, three.dangerous, three.majority), (62, 20, false));
    let probability = three.probability.expect("there are splits");
    assert!((probability - 20.0 / 62.0).abs() < 1e-12, "{probability}");
    let four = Splits::of(6, 4);
    assert_eq!((four.splits, four.dangerous, four.majority), (62, 0, true));
}

#[test]
fn the_formula_counts_the_splits_that_enumeration_finds() {
    for servers in 1..=quorum::MOST {
        for q in 1..=servers {
            let found = Splits::of(servers, q).dangerous as u64;
            assert_eq!(found, quorum::formula(servers, q), "{servers} servers, quorum {q}");
        }
    }
}

#[test]
fn the_protocols_rule_is_a_count_of_a_majority() {
    for servers in 1..=quorum::MOST {
        let (rule, configuration) = (servers / 2 + 1, quorum::simple(servers));
        assert_eq!(quorum::majority(servers), rule);
        let (decides, counts) = (quorum::decides(&configuration), quorum::counts(rule));
        for side in 0..1 << servers {
            assert_eq!(decides(side), counts(side), "{side:b} of {servers}");
        }
    }
}

#[test]
fn a_majority_is_the_smallest_quorum_that_no_split_gives_to_both_sides() {
    for servers in 2..=quorum::MOST {
        let majority = quorum::majority(servers);
        assert_eq!(Splits::of(servers, majority).dangerous, 0, "{servers} servers");
        assert!(Splits::of(servers, majority - 1).dangerous > 0, "{servers} servers");
    }
}

/// Thesis §4.3.
#[test]
fn a_change_of_voters_is_dangerous_without_joint_consensus() {
    // The old majority is two of the first three, the new one the other three: and the other way round.
    let grow = Change::of(3, 5);
    assert_eq!((grow.splits, grow.without_joint, grow.with_joint), (30, 6, 0));
    for old in 1..=6 {
        for new in (1..=6).filter(|new| *new != old) {
            let change = Change::of(old, new);
            assert_eq!(change.with_joint, 0, "{old} to {new}");
            // Two majorities find room beside each other, or they do not.
            let dangerous = quorum::majority(old) + quorum::majority(new) <= old.max(new);
            assert_eq!(change.without_joint > 0, dangerous, "{old} to {new}");
            // One server at a time is safe without joint consensus: thesis §4.1.
            assert!(old.abs_diff(new) > 1 || !dangerous, "{old} to {new}");
        }
    }
}

fn elections() -> impl Iterator<Item = Setting> {
    let windows = [1.0, 2.0, 5.0, 10.0];
    let settings = move |servers| {
        let of = move |window| [true, false].map(|pre_vote| Setting { servers, pre_vote, window });
        windows.into_iter().flat_map(of)
    };
    [3, 4, 5, 7].into_iter().flat_map(settings)
}

#[test]
fn votes_split_as_often_as_the_formula_says() {
    for setting in elections() {
        let found = setting.simulate(1_000, 1);
        let happened = found.iter().filter(|run| run.burnt > 0).count();
        let (low, high) = Share { happened, runs: found.len() }.interval(FAR);
        let split = setting.split_vote();
        assert!((low..=high).contains(&split), "{setting:?}: {split} not in {low} to {high}");
    }
}

/// What a pre-vote asks is granted by whoever would vote, and takes both candidates as long.
#[test]
fn pre_votes_change_neither_which_first_votes_split_nor_cost_more_than_a_round_trip() {
    for (servers, window) in [(3, 2.0), (4, 5.0), (5, 2.0), (7, 1.0)] {
        let of = |pre_vote| Setting { servers, pre_vote, window }.simulate(300, 4);
        for (with, without) in of(true).iter().zip(&of(false)) {
            assert_eq!(
                with.burnt > 0,
                without.burnt > 0,
                "{servers} servers: {with:?} {without:?}"
            );
            let later = with.took - without.took;
            assert!(with.burnt > 0 || (later - 1.0).abs() < 1e-6, "{with:?} {without:?}");
        }
    }
}

#[test]
fn a_new_leader_takes_about_as_long_as_the_formula_says() {
    for setting in elections().filter(|setting| setting.window >= 5.0) {
        let found = setting.simulate(1_000, 2);
        let took: Vec<f64> = found.iter().map(|run| run.took).collect();
        let (found, expected) = (Estimate::of_mean(&took, FAR), setting.expected_time());
        assert!(found.holds(expected), "{setting:?}: {expected} not in {found:?}");
    }
}

#[test]
fn without_a_window_to_speak_of_every_vote_splits_and_with_a_wide_one_hardly_any() {
    let of = |window| Setting { servers: 3, pre_vote: true, window }.split_vote();
    assert!((of(0.5) - 1.0).abs() < 1e-12);
    assert!(of(1_000.0) < 0.002);
    // The rule of thumb is where three servers split less than one vote in ten.
    assert!(of(jitter::RULE) < 0.1 && of(jitter::RULE - 0.5) > 0.1);
}

#[test]
fn a_run_is_determined_by_its_seed() {
    let setting = Setting { servers: 5, pre_vote: true, window: 2.0 };
    assert_eq!(setting.simulate(50, 7), setting.simulate(50, 7));
    assert_ne!(setting.simulate(50, 7), setting.simulate(50, 8));
}

#[test]
fn production_takes_the_parameters_that_are_recommended() {
    let params = jitter::recommended(Duration(2_000_000)).expect("two milliseconds");
    assert_eq!(params.heartbeat_interval, Duration(2_000_000));
    assert_eq!(params.election_timeout, Duration(20_000_000));
    assert_eq!(params.election_jitter, Duration(20_000_000));
    assert_eq!(jitter::recommended(Duration(0)), Err(ParamsError::ZeroHeartbeat));
}

fn fleet(servers: u64, slow: u64, factor: f64) -> Fleet {
    Fleet { servers, slow, factor, round_trip: 10e6, fsync: 1e6 }
}

#[test]
fn an_entry_is_committed_as_a_count_of_all_quorums_says() {
    fn law(servers: u8, slow: u8, factor: u8, ticks: u16) -> bool {
        let servers = 1 + u64::from(servers) % 9;
        let slow = u64::from(slow) % servers;
        let fleet = fleet(servers, slow, 1.0 + f64::from(factor) / 16.0);
        let ticks = f64::from(ticks) * 3_000.0;
        let arrived: Vec<f64> = fleet.answers().iter().map(|it| it.within(ticks)).collect();
        let quorum = servers as usize / 2 + 1;
        (fleet.committed_within(ticks) - at_least_by_subsets(quorum, &arrived)).abs() < 1e-12
    }
    check(300, law as fn(u8, u8, u8, u16) -> bool);
}

#[test]
fn commits_take_as_long_as_the_formula_says() {
    for (servers, slow) in [(1, 0), (2, 0), (3, 0), (3, 1), (3, 2), (5, 0), (5, 2), (5, 3), (7, 3)]
    {
        let fleet = fleet(servers, slow, 10.0);
        let took = fleet.simulate(4_000, 3);
        for p in [0.1, 0.5, 0.9, 0.99] {
            // Times are whole ticks.
            let by_then = fleet.quantile(p) + 0.5;
            let happened = took.iter().filter(|it| **it <= by_then).count();
            let (low, high) = Share { happened, runs: took.len() }.interval(FAR);
            let expected = if servers == 1 { 1.0 } else { p };
            let held = (low..=high).contains(&expected);
            assert!(held, "{fleet:?}: {p} not in {low} to {high} by {by_then}");
        }
    }
}

#[test]
fn the_leader_counts_with_its_own_disk() {
    // Alone it waits for its disk; of two, both have to answer.
    assert!((fleet(1, 0, 1.0).quantile(0.99) - 1e6).abs() < 1.0);
    let other = fleet(2, 0, 1.0);
    let follower = other.answers()[1];
    let median = other.quantile(0.5);
    assert!((follower.within(median) - 0.5).abs() < 1e-9, "the median of one follower");
    // A leader whose disk is slower than every round trip is the one that is waited for.
    let slow_disk = Fleet { fsync: 1e12, ..fleet(2, 0, 1.0) };
    assert!(slow_disk.quantile(0.01) >= 1e12);
}

/// A minority of slow servers takes away the choice among the others: the latency does not become
/// theirs, and it does not stay what it was either.
#[test]
fn a_slow_minority_costs_the_choice_and_a_slow_majority_costs_all() {
    let p99 = |slow| fleet(5, slow, 10.0).quantile(0.99);
    let healthy = fleet(5, 0, 10.0).quantile(0.5);
    assert!(p99(1) > p99(0) && p99(2) > p99(1));
    assert!(p99(2) > 1.2 * healthy, "not the median of the healthy ones");
    assert!(p99(2) < 2.0 * healthy);
    assert!(fleet(5, 3, 10.0).quantile(0.5) > 5.0 * healthy);
}

/// An interval that says 95 % holds the truth in about 95 of 100 cases.
#[test]
fn intervals_hold_the_truth_as_often_as_they_say() {
    let fleet = fleet(3, 0, 1.0);
    let (median, mut shares, mut quantiles) = (fleet.quantile(0.5), 0, 0);
    for seed in 0..400 {
        let took = fleet.simulate(60, 1_000 + seed);
        let happened = took.iter().filter(|it| **it <= median).count();
        let (low, high) = Share { happened, runs: took.len() }.interval(Z95);
        shares += u32::from((low..=high).contains(&0.5));
        quantiles += u32::from(Estimate::of_quantile(&took, 0.5).holds(median));
    }
    for (what, held) in [("a share", shares), ("a quantile", quantiles)] {
        assert!((368..=396).contains(&held), "{what}: {held} of 400");
    }
}

/// What the program prints, after it has ended well.
fn said(arguments: &[&str]) -> String {
    let output = quorate_model(arguments);
    assert_eq!(output.status.code(), Some(0), "{arguments:?}");
    String::from_utf8(output.stdout).expect("UTF-8")
}

#[test]
fn the_program_says_20_of_62_and_of_a_majority_none() {
    let three = said(&["math", "quorum", "--nodes", "6", "--quorum", "3"]);
    assert!(three.contains("20 of 62 splits of 6 servers are dangerous, 32.3 %"), "{three}");
    let four = said(&["math", "quorum", "--nodes", "6", "--quorum", "4"]);
    assert!(four.contains("none of 62 splits of 6 servers"), "{four}");
    let all = said(&["math", "quorum"]);
    assert!(
        all.lines().any(|line| line.starts_with("      12   4,094         7          0")),
        "{all}"
    );
}

#[test]
fn the_program_marks_the_rule_and_recommends_parameters() {
    let text = said(&["math", "jitter", "--nodes", "3", "--runs", "50", "--rtt", "2ms"]);
    let marked: Vec<&str> = text.lines().filter(|line| line.contains('◀')).collect();
    assert_eq!(marked.len(), 2, "with and without pre-vote: {text}");
    assert!(marked.iter().all(|line| line.contains(" 10 RTT ")), "{text}");
    assert!(text.contains("a heartbeat every 2ms, election timeouts from 20ms to 40ms"), "{text}");
    assert!(text.contains("Params::new(Duration(20000000), Duration(2000000))"), "{text}");
}

#[test]
fn the_report_has_what_the_table_has() {
    let file = tempfile::NamedTempFile::new().expect("a file");
    let path = file.path().to_str().expect("UTF-8");
    said(&["math", "latency", "--nodes", "3", "--runs", "100", "--json", path]);
    let text = std::fs::read_to_string(path).expect("it was written");
    let report: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    let rows = report["rows"].as_array().expect("rows");
    assert_eq!(rows.len(), 3, "{text}");
    assert_eq!(rows[2]["slow"], 2, "{text}");
    let formula = fleet(3, 2, 10.0).quantile(0.99);
    let reported = rows[2]["p99_by_formula"].as_f64().expect("a number");
    assert!((reported - formula).abs() < 1.0, "{reported} {formula}");
}

#[test]
fn what_cannot_be_is_one_clear_line() {
    let of = |arguments: &[&str]| refusal(&[&["math"], arguments].concat());
    assert!(of(&["quorum", "--nodes", "13"]).contains("13 is not in 1..=12"));
    assert!(
        of(&["quorum", "--nodes", "4", "--quorum", "5"]).contains("no decision would ever be made")
    );
    assert!(of(&["jitter", "--nodes", "2"]).contains("2 is not in 3..=12"));
    assert!(of(&["jitter", "--window", "0.5"]).contains("from 0.6 to 1000"));
    assert!(of(&["jitter", "--rtt", "2"]).contains("a time with its unit, as 2ms"));
    assert!(of(&["jitter", "--rtt", "0ms"]).contains("the heartbeat interval is 0"));
    assert!(
        of(&["latency", "--nodes", "3", "--slow", "3"]).contains("2 followers that can be slow")
    );
    assert!(of(&["latency", "--rtt", "1ns"]).contains("1us or more"));
}

#[test]
fn the_figures_of_the_documentation_are_those_that_the_command_writes() {
    let folder = tempfile::tempdir().expect("a folder");
    let written = said(&["math", "plots", "--out", folder.path().to_str().expect("UTF-8")]);
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/math");
    let kept = std::fs::read_dir(&docs).expect("docs/math is there").count();
    assert_eq!(written.lines().count(), kept, "docs/math has another figure");
    for path in written.lines().map(Path::new) {
        let name = path.file_name().expect("a file");
        let of = |path: &Path| std::fs::read_to_string(path).expect("a figure");
        let same = of(path) == of(&docs.join(name));
        assert!(same, "{}: write it anew with `just figures`", name.display());
    }
}
