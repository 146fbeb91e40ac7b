//! A link between two parties.

use std::time::Duration;

use tenure_testkit::proxy::{Flow, Proxy};
use tokio::sync::Mutex;
use tokio::time::sleep;

use crate::fault::{Fault, What};

/// Slow links: so late is each piece.
const DELAY: Flow =
    Flow::Slow { delay: Duration::from_millis(20), jitter: Duration::from_millis(100) };

/// A link with its proxy.
pub(super) struct Link {
    pub(super) proxy: Proxy,
    /// Locked as long as it has one.
    pub(super) fault: Mutex<()>,
}

impl Link {
    /// To one of these.
    pub(super) async fn to(targets: impl IntoIterator<Item = String>) -> Self {
        let proxy = Proxy::balance(targets.into_iter().collect()).await;
        Self { proxy, fault: Mutex::new(()) }
    }

    /// Where whoever uses it finds it.
    pub(super) fn url(&self) -> String {
        format!("http://{}", self.proxy.address)
    }

    /// Does this to it, as long as it lasts.
    pub(super) async fn disturb(&self, fault: Fault) -> anyhow::Result<()> {
        match fault.what {
            What::Silent => self.proxy.flow(Flow::Silent, Flow::Silent),
            What::Mute => self.proxy.flow(Flow::Silent, Flow::Open),
            What::Deaf | What::AnswersLost => self.proxy.flow(Flow::Open, Flow::Silent),
            What::Slow => self.proxy.flow(DELAY, DELAY),
            _ => self.proxy.cut(),
        }
        sleep(fault.length).await;
        if fault.what == What::AnswersLost {
            self.proxy.hang_up();
        }
        self.proxy.mend();
        Ok(())
    }
}
