//! Measurements and their statistics.

use std::time::{Duration, Instant};

/// The duration of a comparison.
#[derive(Clone, Copy)]
pub(crate) struct Effort(Duration);

impl Effort {
    pub(crate) fn lasting(time: Duration) -> Self {
        Self(time)
    }

    /// Runs `round` repeatedly, at least twice, each time with another order of `N` items.
    ///
    /// The first tenth of the time is warm-up: connections, caches.
    pub(crate) async fn spend<const N: usize>(
        self,
        mut round: impl AsyncFnMut([usize; N]) -> [u64; N],
    ) -> [Samples; N] {
        let mut orders = Orders(0x9E37_79B9_7F4A_7C15);
        let begun = Instant::now();
        while begun.elapsed() < self.0 / 10 {
            round(orders.next()).await;
        }
        let mut samples = [const { Samples(Vec::new()) }; N];
        while begun.elapsed() < self.0 || samples[0].0.len() < 2 {
            let taken = round(orders.next()).await;
            for (samples, nanos) in samples.iter_mut().zip(taken) {
                samples.0.push(nanos);
            }
        }
        samples
    }
}

/// Orders without a pattern (xorshift).
struct Orders(u64);

impl Orders {
    fn next<const N: usize>(&mut self) -> [usize; N] {
        let mut order = std::array::from_fn(|place| place);
        for last in (1..N).rev() {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            order.swap(last, self.0 as usize % (last + 1));
        }
        order
    }
}

/// Durations of one item in nanoseconds, in the order of measurement.
pub(crate) struct Samples(Vec<u64>);

impl Samples {
    pub(crate) fn count(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn median(&self) -> f64 {
        self.quantile(0.5)
    }

    pub(crate) fn quantile(&self, part: f64) -> f64 {
        let sorted = self.0.iter().map(|nanos| *nanos as f64).collect();
        quantile(sorted, part)
    }

    /// Returns the median difference from another item of the same round.
    pub(crate) fn more_than(&self, other: &Self) -> f64 {
        let pairs = self.0.iter().zip(&other.0);
        let more = pairs.map(|(own, other)| *own as f64 - *other as f64);
        quantile(more.collect(), 0.5)
    }
}

fn quantile(mut values: Vec<f64>, part: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    values[((values.len() - 1) as f64 * part).round() as usize]
}
