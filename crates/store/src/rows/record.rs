//! The journal and the inbox.

use tenure_core::run::{InboxItem, Topic};
use tenure_core::wait::Opening;
use tenure_core::{Entry, EntryKind, EntryStatus, Payload, Record, Steering};

use super::{Columns, Reader};
use crate::Result;
use crate::documents::OpeningDocument;

impl<R: Columns> Reader<'_, R> {
    pub(crate) fn entry(&self) -> Result<Entry> {
        let kind = self.text("kind")?;
        let record = Record {
            key: self.journal_key("key")?,
            kind: EntryKind::parse(&kind).ok_or_else(|| self.unknown("kind", &kind, "kind"))?,
            status: self.entry_status()?,
            input: self.digest_if("input")?,
            attempt: self.small("attempt")?,
            duration: self.duration("duration_micros")?,
            usage: self.text_if("model")?.map(|model| self.usage(model)).transpose()?,
        };
        let (seq, epoch) = (self.count("seq")?, self.count("epoch")?);
        Ok(Entry { seq, epoch, at: self.time("at")?, record })
    }

    fn entry_status(&self) -> Result<EntryStatus> {
        let word = self.text("status")?;
        match &*word {
            "opened" => Ok(EntryStatus::Opened(self.opening()?)),
            "succeeded" => Ok(EntryStatus::Succeeded(self.own_payload()?)),
            "failed" => Ok(EntryStatus::Failed(self.failure()?)),
            "steered" => {
                let (actor, reason) = (self.text("actor")?, self.text("reason")?);
                Ok(EntryStatus::Steered(Steering { actor, reason }))
            }
            _ => Err(self.unknown("status", &word, "status")),
        }
    }

    fn opening(&self) -> Result<Opening> {
        let document: OpeningDocument = self.json("opening")?;
        let payload = match document {
            OpeningDocument::Started | OpeningDocument::Again => Payload::default(),
            OpeningDocument::Interrupt { .. } | OpeningDocument::Child { .. } => {
                self.own_payload()?
            }
        };
        self.good("opening", document.opening(payload))
    }

    pub(crate) fn inbox_item(&self) -> Result<InboxItem> {
        Ok(InboxItem {
            number: self.count("number")?,
            source: self.text("source")?,
            topic: self.topic()?,
            result: self.result()?,
            usage: self.used("usage")?,
            at: self.time("at")?,
        })
    }

    fn topic(&self) -> Result<Topic> {
        let word = self.text("topic")?;
        match &*word {
            "signal" => Ok(Topic::Signal(self.name("name")?)),
            "wait" => Ok(Topic::Wait(self.journal_key("name")?)),
            _ => Err(self.unknown("topic", &word, "topic")),
        }
    }
}
