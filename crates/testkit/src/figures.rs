//! Figures: what was measured, in a form that can be printed and compared.

use std::time::Duration;

/// What repeated measurements of one thing gave, sorted.
#[derive(Clone)]
pub struct Sample(Vec<f64>);

impl Sample {
    /// Of these values, in whatever unit; at least one.
    pub fn of(values: impl IntoIterator<Item = f64>) -> Self {
        let mut values: Vec<f64> = values.into_iter().collect();
        assert!(!values.is_empty(), "nothing was measured");
        values.sort_by(f64::total_cmp);
        Self(values)
    }

    /// Of these times, in milliseconds.
    pub fn of_times(times: impl IntoIterator<Item = Duration>) -> Self {
        Self::of(times.into_iter().map(|time| time.as_secs_f64() * 1_000.0))
    }

    /// The value that so many of a hundred values are not above.
    pub fn percentile(&self, percent: usize) -> f64 {
        let rank = (self.0.len() * percent).div_ceil(100);
        self.0[rank.saturating_sub(1)]
    }

    /// The value in the middle.
    pub fn median(&self) -> f64 {
        self.percentile(50)
    }

    /// The least value.
    pub fn least(&self) -> f64 {
        self.0[0]
    }

    /// The greatest value.
    pub fn most(&self) -> f64 {
        self.percentile(100)
    }

    /// How far the least and the greatest value are apart.
    pub fn spread(&self) -> f64 {
        self.most() - self.0[0]
    }
}

/// A number of runs, for arithmetic: far below where it would lose digits.
pub fn float(count: usize) -> f64 {
    u32::try_from(count).map_or(f64::INFINITY, f64::from)
}
