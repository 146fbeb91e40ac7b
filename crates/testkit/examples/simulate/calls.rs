//! Calls of a worker or a client: who does not get an answer in time asks again, with the very same
//! request, perhaps another replica.

use std::collections::BTreeMap;
use std::time::Duration;

use tenure_core::Error;

use crate::message::{Address, CallId, Caller, Message, Node, Reply, Request};
use crate::world::{self, World};

/// The calls of one process that have no answer yet. `P` says what each is for.
pub(crate) struct Calls<P> {
    me: Address,
    open: BTreeMap<CallId, Open<P>>,
    last: CallId,
}

struct Open<P> {
    purpose: P,
    request: Request,
    manner: Manner,
    /// The replica that was asked.
    to: Node,
}

/// How a call is made.
#[derive(Clone, Copy)]
pub(crate) struct Manner {
    /// How long to wait for an answer.
    patience: Duration,
    /// The pause before it is made again; none if it is made once.
    pause: Option<Duration>,
}

impl Manner {
    /// Made again until it is answered.
    pub(crate) const UNTIL_ANSWERED: Self =
        Self { patience: Duration::from_secs(4), pause: Some(Duration::from_millis(50)) };

    /// Made once, and given up after this time.
    pub(crate) fn once(patience: Duration) -> Self {
        Self { patience, pause: None }
    }
}

/// The longest pause between two tries.
const LONGEST: Duration = Duration::from_secs(2);

/// What a caller waits for on its own.
pub(crate) enum Ring<P> {
    /// Its patience with a call is at its end.
    Over(CallId),
    Again(P, Request, Manner),
}

impl<P: Copy> Calls<P>
where
    Ring<P>: Into<world::Alarm>,
{
    pub(crate) fn new(me: Address) -> Self {
        Self { me, open: BTreeMap::new(), last: 0 }
    }

    pub(crate) fn ask(&mut self, world: &mut World, purpose: P, request: Request, manner: Manner) {
        self.last += 1;
        let to = world.ask(self.me, self.last, request.clone());
        world.alarm(self.me, manner.patience, Ring::<P>::Over(self.last));
        self.open.insert(self.last, Open { purpose, request, manner, to });
    }

    /// What an answer means. Nothing if nobody waits for it any more, or the call is made again.
    pub(crate) fn heard(
        &mut self,
        world: &mut World,
        call: CallId,
        reply: Reply,
    ) -> Option<(P, Reply)> {
        let open = self.open.remove(&call)?;
        match &reply {
            Reply::Refused(error) if error.retryable() => self.failed(world, open, reply),
            _ => Some((open.purpose, reply)),
        }
    }

    pub(crate) fn ring(&mut self, world: &mut World, ring: Ring<P>) -> Option<(P, Reply)> {
        match ring {
            Ring::Over(call) => {
                let open = self.open.remove(&call)?;
                let caller = Caller { who: self.me, call };
                world.send(self.me.node, open.to, Message::Cut(caller));
                let error = Error::unavailable("no answer came in time", "simulated");
                self.failed(world, open, Reply::Refused(error))
            }
            Ring::Again(purpose, request, manner) => {
                self.ask(world, purpose, request, manner);
                None
            }
        }
    }

    fn failed(&self, world: &mut World, open: Open<P>, reply: Reply) -> Option<(P, Reply)> {
        let Open { purpose, request, manner, .. } = open;
        let Some(pause) = manner.pause else { return Some((purpose, reply)) };
        let manner = Manner { pause: Some((pause * 2).min(LONGEST)), ..manner };
        let wait = world.dice.jittered(pause);
        world.alarm(self.me, wait, Ring::Again(purpose, request, manner));
        None
    }
}
