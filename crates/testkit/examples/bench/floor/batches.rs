//! Group commit: one statement makes durable whatever waits at the moment at which a connection is
//! free for it.

use std::sync::Arc;

use anyhow::ensure;
use tokio::sync::{Mutex, mpsc};
use tokio::task::JoinSet;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, NoTls};

/// Rows in one statement.
const MOST: usize = 256;

/// One of the statements.
pub(super) struct Statement<T> {
    /// Over arrays, one of them a column.
    pub(super) sql: &'static str,
    /// The arrays.
    pub(super) columns: for<'a> fn(&'a [Waiting<T>]) -> Columns<'a>,
}

/// Parameters of a statement.
pub(super) type Columns<'a> = Vec<Box<dyn ToSql + Send + Sync + 'a>>;

/// A row, and what is to be done when it is durable.
pub(super) struct Waiting<T> {
    pub(super) row: T,
    then: Box<dyn FnOnce() + Send + Sync>,
}

/// The way of rows into a table.
pub(super) struct Batches<T>(mpsc::UnboundedSender<Waiting<T>>);

impl<T: Send + Sync + 'static> Batches<T> {
    /// Opens so many connections, each of which takes what waits. Their tasks end with an error only.
    pub(super) async fn open(
        url: &str,
        connections: usize,
        statement: Statement<T>,
        tasks: &mut JoinSet<anyhow::Result<()>>,
    ) -> anyhow::Result<Self> {
        let (sender, receiver) = mpsc::unbounded_channel();
        let (receiver, statement) = (Arc::new(Mutex::new(receiver)), Arc::new(statement));
        for _ in 0..connections {
            let client = connect(url).await?;
            tasks.spawn(save_all(client, statement.clone(), receiver.clone()));
        }
        Ok(Self(sender))
    }

    /// Has a row saved, and then this done.
    pub(super) fn save(&self, row: T, then: impl FnOnce() + Send + Sync + 'static) {
        // There is no receiver only when the server is about to end with an error.
        let _ = self.0.send(Waiting { row, then: Box::new(then) });
    }
}

/// A connection, which is driven by a task of its own.
pub(super) async fn connect(url: &str) -> anyhow::Result<Client> {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await?;
    tokio::spawn(connection);
    Ok(client)
}

async fn save_all<T>(
    client: Client,
    statement: Arc<Statement<T>>,
    rows: Arc<Mutex<mpsc::UnboundedReceiver<Waiting<T>>>>,
) -> anyhow::Result<()> {
    let prepared = client.prepare(statement.sql).await?;
    loop {
        let mut batch = Vec::new();
        if rows.lock().await.recv_many(&mut batch, MOST).await == 0 {
            return Ok(());
        }
        save(&client, &prepared, (statement.columns)(&batch), batch.len()).await?;
        for waiting in batch {
            (waiting.then)();
        }
    }
}

async fn save(
    client: &Client,
    statement: &tokio_postgres::Statement,
    columns: Columns<'_>,
    rows: usize,
) -> anyhow::Result<()> {
    let columns: Vec<_> = columns.iter().map(|column| &**column as &(dyn ToSql + Sync)).collect();
    let saved = client.execute(statement, &columns).await?;
    ensure!(u64::try_from(rows)? == saved, "{saved} of {rows} rows were saved");
    Ok(())
}
