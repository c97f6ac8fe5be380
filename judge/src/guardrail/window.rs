//! The baseline's recent latencies on one route, for the guardrail's yardstick.

use std::time::Duration;

/// Calls that count as recent.
const SIZE: usize = 512;
/// Of `SIZE` values the p99 is the sixth largest, of fewer it is a larger one still.
const TOP: usize = 6;

/// A ring of the last 512 latencies.
#[derive(Clone, Debug)]
pub struct Window {
    latencies: Vec<Duration>,
    next: usize,
    /// The largest of them, the largest first: kept as latencies come and go, since all of them are
    /// too many to look at for each pair.
    top: [Duration; TOP],
}

impl Default for Window {
    fn default() -> Self {
        Self::new()
    }
}

impl Window {
    /// An empty window.
    pub fn new() -> Self {
        Self { latencies: Vec::new(), next: 0, top: [Duration::ZERO; TOP] }
    }

    /// Takes in a latency, in place of the oldest one when the window is full.
    pub fn record(&mut self, latency: Duration) {
        if self.latencies.len() < SIZE {
            self.latencies.push(latency);
            self.raise(latency);
            return;
        }
        let oldest = std::mem::replace(&mut self.latencies[self.next], latency);
        self.next = (self.next + 1) % SIZE;
        if oldest < self.top[TOP - 1] {
            self.raise(latency);
        } else {
            self.look_through();
        }
    }

    /// Makes room among the largest, should it be one of them.
    fn raise(&mut self, latency: Duration) {
        if latency > self.top[TOP - 1] {
            let place = self.top.partition_point(|larger| *larger >= latency);
            self.top.copy_within(place..TOP - 1, place + 1);
            self.top[place] = latency;
        }
    }

    /// Finds the largest anew, when one of them has gone.
    fn look_through(&mut self) {
        self.top = [Duration::ZERO; TOP];
        for index in 0..self.latencies.len() {
            self.raise(self.latencies[index]);
        }
    }

    /// The 99th percentile by nearest rank, the `ceil(0.99 n)`-th smallest; zero when empty.
    pub fn p99(&self) -> Duration {
        let count = self.latencies.len();
        let from_above = count - (count * 99).div_ceil(100);
        self.top[from_above.min(TOP - 1)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn millis(n: u64) -> Duration {
        Duration::from_millis(n)
    }

    #[test]
    fn an_empty_window_has_a_p99_of_zero_and_one_value_is_its_own() {
        let mut window = Window::new();
        assert_eq!(window.p99(), Duration::ZERO);
        window.record(millis(7));
        assert_eq!(window.p99(), millis(7));
    }

    #[test]
    fn p99_is_the_nearest_rank_of_the_last_512() {
        let mut window = Window::new();
        let mut all = Vec::new();
        let mut state = 1_u64;
        for _ in 0..2000 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            all.push(millis(state >> 54));
            window.record(all[all.len() - 1]);
            let mut recent = all[all.len().saturating_sub(512)..].to_vec();
            recent.sort();
            assert_eq!(window.p99(), recent[(recent.len() * 99).div_ceil(100) - 1]);
        }
    }
}
