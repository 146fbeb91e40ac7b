//! Journals and inboxes: read a page.

use tenure_core::run::InboxItem;
use tenure_core::{Entry, Name, Result, Run, RunId, TenantId, limits};

use super::Service;

/// A page of a journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JournalPage {
    /// The entries, in order.
    pub entries: Vec<Entry>,
    /// Whether more follow.
    pub more: bool,
}

/// Inbox items in one page: four full payloads fit a message only just, most are small.
const INBOX_PAGE: usize = 3;

impl Service {
    /// Entries after `after`, up to `limit` and about 1 MiB.
    pub async fn list_entries(
        &self,
        tenant: &Name,
        run: RunId,
        after: u64,
        limit: usize,
    ) -> Result<JournalPage> {
        let tenant = self.tenant_id(tenant).await?;
        let run = self.read_run(tenant, run).await?;
        self.journal_page(&run, after, limit).await
    }

    /// Inbox items after `after`, in order, and whether more follow.
    pub async fn read_inbox(
        &self,
        tenant: &Name,
        run: RunId,
        after: u64,
    ) -> Result<(Vec<InboxItem>, bool)> {
        let tenant = self.tenant_id(tenant).await?;
        let run = self.read_run(tenant, run).await?;
        let items = self.store.read_inbox(tenant, run.id, after, INBOX_PAGE).await?;
        let more = items.last().is_some_and(|last| last.number < run.inbox);
        Ok((items, more))
    }

    /// The run whose journal and inbox this one reads: its own, unless it checks another.
    async fn read_run(&self, tenant: TenantId, run: RunId) -> Result<Run> {
        let run = self.full_run(tenant, run).await?.run;
        match run.check {
            Some(checked) => Ok(self.full_run(tenant, checked).await?.run),
            None => Ok(run),
        }
    }

    /// A page of the journal as far as `run` knows it, which may be a little behind.
    pub(super) async fn journal_page(
        &self,
        run: &Run,
        after: u64,
        limit: usize,
    ) -> Result<JournalPage> {
        let limit = limit.clamp(1, limits::JOURNAL_PAGE);
        let bytes = limits::JOURNAL_PAGE_BYTES;
        let entries = self.store.read_journal(run.tenant, run.id, after, limit, bytes).await?;
        // Counted by place, not by size: a page that was cut must never pass for the last one.
        let more = entries.last().is_some_and(|last| last.seq + 1 < run.next_seq);
        Ok(JournalPage { entries, more })
    }
}
