//! How PostgreSQL's types are read and bound.

use sqlx::encode::IsNull;
use sqlx::error::BoxDynError;
use sqlx::postgres::{PgArgumentBuffer, PgHasArrayType, PgRow, PgTypeInfo, PgValueRef};
use sqlx::{Decode, Encode, Postgres, Row, Type};
use tenure_core::Timestamp;
use uuid::Uuid;

use crate::rows::Columns;

/// A `timestamptz`, bit by bit: every [`Timestamp`] fits, which is not so for calendar types.
#[derive(Clone, Copy)]
pub(super) struct Time(pub(super) Timestamp);

/// Microseconds from 1970, where Unix starts to count, to 2000, where PostgreSQL does.
const EPOCH: i64 = 946_684_800_000_000;

impl Type<Postgres> for Time {
    fn type_info() -> PgTypeInfo {
        PgTypeInfo::with_name("timestamptz")
    }
}

impl PgHasArrayType for Time {
    fn array_type_info() -> PgTypeInfo {
        PgTypeInfo::with_name("_timestamptz")
    }
}

impl Encode<'_, Postgres> for Time {
    fn encode_by_ref(&self, buffer: &mut PgArgumentBuffer) -> Result<IsNull, BoxDynError> {
        Encode::<Postgres>::encode(self.0.micros().saturating_sub(EPOCH), buffer)
    }
}

impl Decode<'_, Postgres> for Time {
    fn decode(value: PgValueRef<'_>) -> Result<Self, BoxDynError> {
        let micros = <i64 as Decode<'_, Postgres>>::decode(value)?;
        Ok(Self(Timestamp::from_micros(micros.saturating_add(EPOCH))))
    }
}

impl Columns for PgRow {
    fn id(&self, column: &str) -> sqlx::Result<Option<Uuid>> {
        self.try_get(column)
    }

    fn int(&self, column: &str) -> sqlx::Result<Option<i64>> {
        self.try_get(column)
    }

    fn flag(&self, column: &str) -> sqlx::Result<Option<bool>> {
        self.try_get(column)
    }

    fn text(&self, column: &str) -> sqlx::Result<Option<String>> {
        self.try_get(column)
    }

    fn bytes(&self, column: &str) -> sqlx::Result<Option<Vec<u8>>> {
        self.try_get(column)
    }

    fn time(&self, column: &str) -> sqlx::Result<Option<Timestamp>> {
        Ok(self.try_get::<Option<Time>, _>(column)?.map(|time| time.0))
    }
}

/// One column of many rows, for `unnest`.
pub(super) fn column<'r, R, T>(rows: &'r [R], get: impl Fn(&'r R) -> T) -> Vec<T> {
    rows.iter().map(get).collect()
}

/// One column of times that may be null.
pub(super) fn times<R>(rows: &[R], get: impl Fn(&R) -> Option<Timestamp>) -> Vec<Option<Time>> {
    rows.iter().map(|row| get(row).map(Time)).collect()
}
