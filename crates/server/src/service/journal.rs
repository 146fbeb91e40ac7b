//! Journals and inboxes: read a page.

use tenure_core::run::InboxItem;
use tenure_core::{Entry, Name, Result, RunId, TenantId, limits};

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
    /// Entries after `after`, up to `limit` and about 2 MiB. The run must exist.
    pub async fn list_entries(
        &self,
        tenant: &Name,
        run: RunId,
        after: u64,
        limit: usize,
    ) -> Result<JournalPage> {
        let tenant = self.tenant_id(tenant).await?;
        let page = self.journal_page(tenant, run, after, limit).await?;
        if page.entries.is_empty() {
            self.full_run(tenant, run).await?;
        }
        Ok(page)
    }

    /// Inbox items after `after`, in order, and whether more follow.
    pub async fn read_inbox(
        &self,
        tenant: &Name,
        run: RunId,
        after: u64,
    ) -> Result<(Vec<InboxItem>, bool)> {
        let tenant = self.tenant_id(tenant).await?;
        let items = self.store.read_inbox(tenant, run, after, INBOX_PAGE).await?;
        let more = items.len() == INBOX_PAGE;
        Ok((items, more))
    }

    pub(super) async fn journal_page(
        &self,
        tenant: TenantId,
        run: RunId,
        after: u64,
        limit: usize,
    ) -> Result<JournalPage> {
        let limit = limit.clamp(1, limits::JOURNAL_PAGE);
        let bytes = limits::JOURNAL_PAGE_BYTES;
        let entries = self.store.read_journal(tenant, run, after, limit, bytes).await?;
        let size: usize = entries.iter().map(size).sum();
        let more = entries.len() == limit || size >= bytes;
        Ok(JournalPage { entries, more })
    }
}

/// The payload that an entry brings to a page.
fn size(entry: &Entry) -> usize {
    match &entry.record.status {
        tenure_core::EntryStatus::Succeeded(payload) => payload.data.len(),
        tenure_core::EntryStatus::Failed(_) => 0,
    }
}
