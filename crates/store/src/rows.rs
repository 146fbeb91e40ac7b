//! What is read: the columns that both databases have, put together into core values.
//!
//! Bad data is [`StoreError::Corrupt`] and names its table, column and row; it is never a panic and
//! never silently something else.

mod interrupt;
mod message;
mod record;
mod registry;
mod run;

use serde::de::DeserializeOwned;
use tenure_core::{Digest, Failure, Key, Name, Payload, RunId, TenantId, Timestamp, Usage};
use uuid::Uuid;

use crate::documents::UsageDocument;
use crate::{Result, StoreError};

/// A row of one of the databases, read by the names of its columns.
pub(crate) trait Columns {
    fn id(&self, column: &str) -> sqlx::Result<Option<Uuid>>;
    fn int(&self, column: &str) -> sqlx::Result<Option<i64>>;
    fn flag(&self, column: &str) -> sqlx::Result<Option<bool>>;
    fn text(&self, column: &str) -> sqlx::Result<Option<String>>;
    fn bytes(&self, column: &str) -> sqlx::Result<Option<Vec<u8>>>;
    fn time(&self, column: &str) -> sqlx::Result<Option<Timestamp>>;
}

/// A row together with its table, for the errors.
pub(crate) struct Reader<'r, R> {
    row: &'r R,
    table: &'static str,
}

impl<'r, R: Columns> Reader<'r, R> {
    pub(crate) fn new(table: &'static str, row: &'r R) -> Self {
        Self { row, table }
    }

    /// The run that the row is of.
    pub(crate) fn run_ref(&self) -> Result<(TenantId, RunId)> {
        Ok((TenantId::new(self.id("tenant_id")?), RunId::new(self.id("run_id")?)))
    }

    fn failure(&self) -> Result<Failure> {
        Ok(Failure {
            code: self.text("failure_code")?,
            message: self.text("failure_message")?,
            retryable: self.flag("failure_retryable")?,
            retry_after: None,
        })
    }

    fn usage(&self, model: String) -> Result<Usage> {
        // What a negative one says is in `columns::cost`.
        let cost = self.int("cost_micros")?;
        Ok(Usage {
            model,
            input_tokens: self.count("input_tokens")?,
            output_tokens: self.count("output_tokens")?,
            cached_tokens: self.count("cached_tokens")?,
            reasoning_tokens: self.count("reasoning_tokens")?,
            cost_micros: if cost < 0 { (-1 - cost).unsigned_abs() } else { cost.unsigned_abs() },
            unpriced: cost < 0,
            tool_calls: self.count("tool_calls")?,
        })
    }

    fn payload(&self, [content_type, encoding, data]: [&'static str; 3]) -> Result<Payload> {
        Ok(Payload {
            content_type: self.text(content_type)?,
            encoding: self.text(encoding)?,
            data: self.bytes(data)?.into(),
        })
    }

    /// The payload of a table that has one only.
    fn own_payload(&self) -> Result<Payload> {
        self.payload(["content_type", "encoding", "payload"])
    }

    /// A failure where there is one, else a payload.
    fn result(&self) -> Result<Result<Payload, Failure>> {
        match self.text_if("failure_code")? {
            Some(_) => Ok(Err(self.failure()?)),
            None => Ok(Ok(self.own_payload()?)),
        }
    }

    pub(crate) fn id(&self, column: &'static str) -> Result<Uuid> {
        self.needed(column, self.row.id(column))
    }

    pub(crate) fn id_if(&self, column: &'static str) -> Result<Option<Uuid>> {
        self.good(column, self.row.id(column))
    }

    pub(crate) fn time(&self, column: &'static str) -> Result<Timestamp> {
        self.needed(column, self.row.time(column))
    }

    pub(crate) fn time_if(&self, column: &'static str) -> Result<Option<Timestamp>> {
        self.good(column, self.row.time(column))
    }

    pub(crate) fn text(&self, column: &'static str) -> Result<String> {
        self.needed(column, self.row.text(column))
    }

    fn text_if(&self, column: &'static str) -> Result<Option<String>> {
        self.good(column, self.row.text(column))
    }

    fn bytes(&self, column: &'static str) -> Result<Vec<u8>> {
        self.needed(column, self.row.bytes(column))
    }

    fn flag(&self, column: &'static str) -> Result<bool> {
        self.needed(column, self.row.flag(column))
    }

    pub(crate) fn int(&self, column: &'static str) -> Result<i64> {
        self.needed(column, self.row.int(column))
    }

    pub(crate) fn int_if(&self, column: &'static str) -> Result<Option<i64>> {
        self.good(column, self.row.int(column))
    }

    pub(crate) fn count(&self, column: &'static str) -> Result<u64> {
        self.good(column, u64::try_from(self.int(column)?))
    }

    fn count_if(&self, column: &'static str) -> Result<Option<u64>> {
        let number = self.int_if(column)?;
        number.map(|number| self.good(column, u64::try_from(number))).transpose()
    }

    pub(crate) fn small(&self, column: &'static str) -> Result<u32> {
        self.good(column, u32::try_from(self.int(column)?))
    }

    fn small_if(&self, column: &'static str) -> Result<Option<u32>> {
        let number = self.int_if(column)?;
        number.map(|number| self.good(column, u32::try_from(number))).transpose()
    }

    fn name(&self, column: &'static str) -> Result<Name> {
        self.good(column, self.text(column)?.parse())
    }

    fn journal_key(&self, column: &'static str) -> Result<Key> {
        self.good(column, self.text(column)?.parse())
    }

    fn digest(&self, column: &'static str) -> Result<Digest> {
        self.good(column, Digest::try_from(&*self.bytes(column)?))
    }

    fn digest_if(&self, column: &'static str) -> Result<Option<Digest>> {
        let bytes = self.good(column, self.row.bytes(column))?;
        bytes.map(|bytes| self.good(column, Digest::try_from(&*bytes))).transpose()
    }

    fn json<T: DeserializeOwned>(&self, column: &'static str) -> Result<T> {
        self.good(column, serde_json::from_str(&self.text(column)?))
    }

    fn json_if<T: DeserializeOwned>(&self, column: &'static str) -> Result<Option<T>> {
        let text = self.text_if(column)?;
        text.map(|text| self.good(column, serde_json::from_str(&text))).transpose()
    }

    /// A sum of what called runs have used.
    fn used(&self, column: &'static str) -> Result<Option<Usage>> {
        Ok(self.json_if::<UsageDocument>(column)?.map(|document| document.usage()))
    }

    fn needed<T>(&self, column: &'static str, value: sqlx::Result<Option<T>>) -> Result<T> {
        self.good(column, value)?.ok_or_else(|| self.corrupt(column, "it is null"))
    }

    fn good<T, E: ToString>(&self, column: &'static str, value: Result<T, E>) -> Result<T> {
        value.map_err(|error| self.corrupt(column, error.to_string()))
    }

    /// The column has a word that no rule writes.
    fn unknown(&self, column: &'static str, word: &str, what: &str) -> StoreError {
        self.corrupt(column, format!("`{word}` is no {what}"))
    }

    fn corrupt(&self, column: &'static str, problem: impl Into<String>) -> StoreError {
        let (row, problem) = (self.key(), problem.into());
        StoreError::Corrupt { table: self.table, column, row, problem }
    }

    /// The row's key, from those of the usual columns that it has.
    fn key(&self) -> String {
        let ids = ["tenant_id", "agent_id", "run_id", "interrupt_id"]
            .map(|column| self.row.id(column).ok().flatten().map(|id| format!("{column} {id}")));
        let numbers = ["number", "seq"].map(|column| {
            self.row.int(column).ok().flatten().map(|number| format!("{column} {number}"))
        });
        ids.into_iter().chain(numbers).flatten().collect::<Vec<_>>().join(", ")
    }
}
