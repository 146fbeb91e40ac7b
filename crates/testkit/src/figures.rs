//! Figures: what was measured, in a form that can be printed and compared.

use std::fmt;
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

    /// For many values: those that say how often it is slow.
    pub fn tail(&self) -> String {
        let [p50, p99] = [50, 99].map(|percent| self.percentile(percent));
        format!("p50 {p50:.1}, p99 {p99:.1}, most {:.1} (n = {})", self.most(), self.0.len())
    }
}

/// For few values: the median, and between what all of them are.
impl fmt::Display for Sample {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.1} ({:.1} to {:.1})", self.median(), self.0[0], self.most())
    }
}

/// Prints a figure with the bound that it is to keep within, and whether it does.
pub fn judge(what: &str, figure: f64, bound: f64, unit: &str) {
    let verdict = if figure <= bound { "met" } else { "NOT MET" };
    println!("  {verdict}: {what}: {figure:.2} {unit}, may be {bound} {unit}");
}

/// A number of runs, for arithmetic: far below where it would lose digits.
pub fn float(count: usize) -> f64 {
    u32::try_from(count).map_or(f64::INFINITY, f64::from)
}
