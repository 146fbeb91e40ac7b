//! What happened how often, so that a simulation in which nothing happens does not pass for a good
//! one.

use std::fmt;
use std::ops::AddAssign;
use std::time::Duration;

/// Counts of one simulation, or sums over several.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Figures {
    pub(crate) simulated: Duration,
    pub(crate) events: u64,
    pub(crate) runs: u64,
    pub(crate) succeeded: u64,
    pub(crate) failed: u64,
    pub(crate) cancelled: u64,
    pub(crate) crashes: u64,
    pub(crate) freezes: u64,
    pub(crate) partitions: u64,
    pub(crate) clock_jumps: u64,
    pub(crate) outages: u64,
    pub(crate) drains: u64,
    pub(crate) leases: u64,
    /// Leases that others took over.
    pub(crate) takeovers: u64,
    pub(crate) entries: u64,
    pub(crate) executions: u64,
    /// Executions of a step that was executed before.
    pub(crate) repeated: u64,
    /// Commits that were recognised as a repetition.
    pub(crate) recognised: u64,
    /// Writes that were refused because the lease was lost.
    pub(crate) fenced: u64,
    pub(crate) parked: u64,
    /// Runs that other runs have called.
    pub(crate) called: u64,
    /// Messages between runs that were delivered.
    pub(crate) delivered: u64,
    /// Answers that were taken, and that came after another one.
    pub(crate) answered: u64,
    pub(crate) late_answers: u64,
    /// Questions whose time was up.
    pub(crate) timed_out: u64,
    /// Steps of which somebody had to find out whether they had happened.
    pub(crate) doubts: u64,
    pub(crate) paused: u64,
    pub(crate) patched: u64,
    /// Runs that waited for a turn and got it.
    pub(crate) turns: u64,
    /// Runs that failed and were tried again.
    pub(crate) retried: u64,
    pub(crate) copied: u64,
    pub(crate) lost: u64,
}

impl AddAssign for Figures {
    fn add_assign(&mut self, other: Self) {
        self.simulated += other.simulated;
        for (sum, part) in self.counts().into_iter().zip(other.clone().counts()) {
            *sum += *part;
        }
    }
}

impl Figures {
    fn counts(&mut self) -> [&mut u64; 31] {
        [
            &mut self.events,
            &mut self.runs,
            &mut self.succeeded,
            &mut self.failed,
            &mut self.cancelled,
            &mut self.crashes,
            &mut self.freezes,
            &mut self.partitions,
            &mut self.clock_jumps,
            &mut self.outages,
            &mut self.drains,
            &mut self.leases,
            &mut self.takeovers,
            &mut self.entries,
            &mut self.executions,
            &mut self.repeated,
            &mut self.recognised,
            &mut self.fenced,
            &mut self.parked,
            &mut self.called,
            &mut self.delivered,
            &mut self.answered,
            &mut self.late_answers,
            &mut self.timed_out,
            &mut self.doubts,
            &mut self.paused,
            &mut self.patched,
            &mut self.turns,
            &mut self.retried,
            &mut self.copied,
            &mut self.lost,
        ]
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { events, runs, succeeded, failed, cancelled, .. } = self;
        let Self { crashes, freezes, partitions, clock_jumps, outages, drains, .. } = self;
        let Self { leases, takeovers, parked, entries, executions, repeated, .. } = self;
        let Self { called, delivered, answered, late_answers, timed_out, doubts, .. } = self;
        let Self { paused, patched, turns, retried, .. } = self;
        let Self { copied, lost, recognised, fenced, .. } = self;
        let hours = self.simulated.as_secs_f64() / 3_600.0;
        writeln!(f, "  {hours:.1} h simulated, {events} events")?;
        writeln!(
            f,
            "  {runs} runs: {succeeded} succeeded, {failed} failed, {cancelled} cancelled"
        )?;
        writeln!(
            f,
            "  {crashes} crashes, {freezes} freezes, {partitions} partitions, {outages} outages \
             of the database, {clock_jumps} clock jumps, {drains} drains"
        )?;
        writeln!(f, "  {leases} leases, {takeovers} takeovers, {parked} times parked")?;
        writeln!(f, "  {entries} entries, {executions} executions, {repeated} of them repeated")?;
        writeln!(
            f,
            "  {called} runs called, {delivered} messages between runs delivered, {turns} turns handed on"
        )?;
        writeln!(
            f,
            "  {answered} questions answered, {late_answers} answers too late, {timed_out} timed out, \
             {doubts} doubts"
        )?;
        writeln!(
            f,
            "  {paused} times paused, {patched} times patched, {retried} times tried again"
        )?;
        write!(
            f,
            "  {copied} messages copied, {lost} lost; {recognised} repeated commits recognised, \
             {fenced} writes refused as late"
        )
    }
}
