//! The connections of the statements that write by themselves.
//!
//! Not from the pool, which asks the server whether a connection still lives before it lends it and
//! again when it gets it back: for a statement that is a single round trip, that is two more.

use std::sync::{Mutex, PoisonError};

use sqlx::postgres::PgConnectOptions;
use sqlx::{Connection, PgConnection};

use crate::Result;

/// Connections that nobody uses at the moment: as many as were ever used at once.
pub(super) struct Writers {
    options: PgConnectOptions,
    idle: Mutex<Vec<PgConnection>>,
}

impl Writers {
    pub(super) fn new(options: PgConnectOptions) -> Self {
        let options = options.options([
            // Their statements are wide and have the same shape for any number of rows: planning one
            // anew takes longer than executing it.
            ("plan_cache_mode", "force_generic_plan"),
            // A plan is made once, perhaps when the tables are empty and reading them whole looks
            // cheap. Every row here is found by its key.
            ("enable_seqscan", "off"),
            ("enable_hashjoin", "off"),
            ("enable_mergejoin", "off"),
            ("enable_bitmapscan", "off"),
        ]);
        Self { options, idle: Mutex::default() }
    }

    /// A connection. Whoever is done with it, and knows that it is at rest, gives it
    /// [back](Self::give_back); any other is closed by being dropped.
    pub(super) async fn take(&self) -> Result<PgConnection> {
        let idle = self.lock().pop();
        match idle {
            Some(connection) => Ok(connection),
            None => Ok(PgConnection::connect_with(&self.options).await?),
        }
    }

    pub(super) fn give_back(&self, connection: PgConnection) {
        self.lock().push(connection);
    }

    /// Forgets all connections: one of them was found broken, so the others may be.
    pub(super) fn reset(&self) {
        self.lock().clear();
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<PgConnection>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
