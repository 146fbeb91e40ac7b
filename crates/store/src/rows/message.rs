//! Messages between runs.

use tenure_core::{Key, Message};

use super::{Columns, Reader};
use crate::documents::{CallDocument, EndedDocument, SteeringDocument, TurnDocument};
use crate::{Posted, Result};

impl<R: Columns> Reader<'_, R> {
    pub(crate) fn posted(&self) -> Result<Posted> {
        let (tenant, run) = self.run_ref()?;
        Ok(Posted { tenant, run, number: self.count("number")?, message: self.message()? })
    }

    /// The message, for those who take what all tenants have: see
    /// [`run_if_readable`](Self::run_if_readable).
    pub(crate) fn posted_if_readable(&self) -> Option<Posted> {
        self.posted().inspect_err(|error| tracing::error!(%error, "passing over a message")).ok()
    }

    fn message(&self) -> Result<Message> {
        let kind = self.text("kind")?;
        Ok(match &*kind {
            "call" => self.call()?,
            "ended" => self.ended()?,
            "end_children" => {
                let document: SteeringDocument = self.json("detail")?;
                Message::EndChildren { steering: document.steering() }
            }
            "free_turn" => Message::FreeTurn { key: self.turn()? },
            "take_turn" => Message::TakeTurn { key: self.turn()? },
            _ => return Err(self.unknown("kind", &kind, "message")),
        })
    }

    fn call(&self) -> Result<Message> {
        let document: CallDocument = self.json("detail")?;
        let key = self.detail_key(&document.key)?;
        let call = self.good("detail", document.call(self.own_payload()?))?;
        Ok(Message::Call { key, call: Box::new(call) })
    }

    fn ended(&self) -> Result<Message> {
        let document: EndedDocument = self.json("detail")?;
        let parent = self.good("detail", document.parent())?;
        let (key, usage) = (self.detail_key(&document.key)?, document.usage());
        Ok(Message::Ended { parent, key, result: self.result()?, usage })
    }

    fn turn(&self) -> Result<String> {
        Ok(self.json::<TurnDocument>("detail")?.key)
    }

    fn detail_key(&self, text: &str) -> Result<Key> {
        self.good("detail", text.parse())
    }
}
