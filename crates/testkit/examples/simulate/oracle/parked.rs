//! Whether a parked run may rest: its code, replayed over what is recorded and what has arrived,
//! could not go on.

use std::time::Duration;

use tenure_core::run::WaitReason;
use tenure_core::{Error, Key, Run, RunState};

use super::effects::is_over;
use super::ledger::Ledger;
use super::{Broken, NO_LOST_WAKE, Oracle, REPLAY, must};
use crate::code::{Code, Want};
use crate::script::Script;

impl Oracle {
    /// A run is saved: if it is parked, nothing must be left for it to do.
    pub(crate) fn rests(&mut self, now: Duration, run: &Run, script: &Script) {
        let RunState::Waiting { reason: WaitReason::Inbox { until, .. } } = &run.state else {
            return;
        };
        let Some(ledger) = self.ledgers.get(&run.id) else { return };
        let over = |key: &Key, length| {
            let passed = ledger.passed(now, self.forward, key);
            passed.is_some_and(|passed| is_over(passed, length))
        };
        let found = code(ledger, script)
            .map_err(|error| Broken(REPLAY, error.to_string()))
            .and_then(|(mut code, wants)| match until {
                // It is woken for its next sleep at least.
                Some(_) => wants.iter().try_for_each(must_wait),
                None => must_rest(&mut code, wants, over),
            });
        self.conclude(run.id, found);
    }
}

/// The code as it would be started now, and what it would want.
fn code(ledger: &Ledger, script: &Script) -> tenure_core::Result<(Code, Vec<Want>)> {
    let mut code = Code::new(script, ledger.entries.iter().cloned())?;
    let mut wants = code.go_on()?;
    if let Some(stop) = code.stop() {
        return Err(Error::internal(format!("it was parked although its code stops: {stop:?}")));
    }
    wants.extend(code.receive(ledger.inbox.clone()));
    Ok((code, wants))
}

fn must_wait(want: &Want) -> Result<(), Broken> {
    let key = match want {
        Want::Do { key, .. } => key,
        Want::Record { record, .. } => &record.key,
        Want::Sleep { .. } => return Ok(()),
    };
    Err(Broken(NO_LOST_WAKE, format!("it was parked although its code can go on with `{key}`")))
}

/// Nothing but a signal will wake it: every sleep must be over, and what comes after it as well.
fn must_rest(
    code: &mut Code,
    mut wants: Vec<Want>,
    over: impl Fn(&Key, Duration) -> bool,
) -> Result<(), Broken> {
    while !wants.is_empty() {
        for want in wants {
            must_wait(&want)?;
            let Want::Sleep { fiber, key, length, .. } = want else { continue };
            must(over(&key, length), NO_LOST_WAKE, || {
                format!("it was parked in `{key}` and nothing will wake it")
            })?;
            code.woke(fiber);
        }
        wants = code.go_on().map_err(|error| Broken(REPLAY, error.to_string()))?;
    }
    Ok(())
}
