//! Binomial coefficients, and how many of independent events happen.

/// How many ways there are to choose `k` of `n`.
#[must_use]
pub fn choose(n: u64, k: u64) -> u64 {
    // Each product of `i` successive numbers is divisible by the factorial of `i`.
    if k > n { 0 } else { (0..k).fold(1, |ways, i| ways * (n - i) / (i + 1)) }
}

/// The probability that at least `k` of `n` events happen, each with probability `p`, independently.
#[must_use]
pub fn at_least(k: u64, n: u64, p: f64) -> f64 {
    let happen = |of: u64| {
        let (yes, no) = (p.powi(of as i32), (1.0 - p).powi((n - of) as i32));
        choose(n, of) as f64 * yes * no
    };
    (k..=n).map(happen).sum()
}

/// The probability that at least `k` of these events happen, each with a probability of its own,
/// independently: one event after the other, by how many have happened so far.
#[must_use]
pub fn at_least_of(k: usize, probabilities: &[f64]) -> f64 {
    let mut happened = vec![1.0];
    for p in probabilities {
        happened.push(0.0);
        for count in (0..happened.len()).rev() {
            let one_more = if count == 0 { 0.0 } else { happened[count - 1] * p };
            happened[count] = happened[count] * (1.0 - p) + one_more;
        }
    }
    happened.iter().skip(k).sum()
}
