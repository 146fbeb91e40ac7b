//! Steps: what the lease has to allow before one begins, and what becomes of it.

use std::mem;

use super::leased::{Executing, Leased, Ready};
use crate::code::{self, FiberId, Found, Want, Work};
use crate::guard::Guard;
use crate::world::World;

impl Leased {
    /// Begins what the code has come to, as far as the lease is known to stand.
    pub(super) fn begin_steps(&mut self, world: &mut World, draining: bool) {
        if self.outcome.is_some() || self.cancel {
            return;
        }
        for ready in mem::take(&mut self.ready) {
            if self.may_begin(world, &ready, draining) {
                self.begin_step(world, ready);
            } else {
                self.ready.push_back(ready);
            }
        }
    }

    /// What is on record as started is in doubt until it has happened, so it begins also in a worker
    /// that is leaving. But not without another look at the lease: it took time to record that.
    fn may_begin(&self, world: &World, ready: &Ready, draining: bool) -> bool {
        if ready.has_started() {
            return !self.is_stale(world) || world.plan.lacks(Guard::Recheck);
        }
        !self.is_stale(world) && !self.is_leaving(draining)
    }

    fn begin_step(&mut self, world: &mut World, ready: Ready) {
        let Ready { fiber, key, takes, work } = ready;
        let executing = match work {
            Work::Start if !world.plan.lacks(Guard::Started) => {
                let Some(code) = &mut self.code else { return };
                match code.starts(fiber, &key) {
                    Ok(record) => self.records.push_back((fiber, record)),
                    Err(error) => world.oracle.stuck(self.run.id, &error),
                }
                return;
            }
            Work::FindOut => {
                world.figures.doubts += 1;
                Executing::FindOut(key.clone())
            }
            Work::Execute(_) | Work::Start | Work::Once { .. } => {
                let once = !matches!(work, Work::Execute(_));
                let begun = world.oracle.executed(self.run.id, &key, self.lease, once);
                world.figures.executions += 1;
                world.figures.repeated += u64::from(begun.nth > 1);
                let fails = match work {
                    Work::Execute(fails) => fails,
                    _ => crate::script::Fails::Never,
                };
                Executing::Step(code::result(begun.number, begun.nth, fails))
            }
        };
        let lease = self.lease.uuid().as_u128();
        let what = format_args!("{} begins `{key}` under lease {lease}: {executing:?}", self.me);
        world.note(Some(self.run.id), what);
        self.executing.insert(fiber, executing);
        world.alarm(self.me, takes, super::Alarm::StepEnds(self.lease, fiber));
    }

    pub(super) fn step_ends(&mut self, world: &mut World, fiber: FiberId) {
        let Some(executing) = self.executing.remove(&fiber) else { return };
        let (None, Some(code)) = (&self.outcome, &mut self.code) else { return };
        let want = match executing {
            Executing::Step(status) => {
                code.finished(fiber, status).map(|record| Some(Want::Record { fiber, record }))
            }
            Executing::FindOut(key) => {
                let known = !world.dice.chance(300);
                let found = match world.oracle.happened(self.run.id, &key) {
                    _ if !known => Found::Unknown,
                    Some(number) => {
                        Found::Happened(code::result(number, 1, crate::script::Fails::Never))
                    }
                    None => Found::DidNot,
                };
                world.note(Some(self.run.id), format_args!("{} finds `{key}`: {found:?}", self.me));
                code.found(fiber, found)
            }
        };
        match want {
            Ok(want) => self.want(world, want),
            Err(error) => world.oracle.stuck(self.run.id, &error),
        }
    }
}
