//! The contract, case by case, on every back end.

mod agents;
mod queue;
mod records;
mod runs;

use std::sync::Arc;

use tenure_store::Store;

/// Runs every case on SQLite in memory, on SQLite in a file and on PostgreSQL.
macro_rules! suite {
    ($($file:ident: $($case:ident)*;)*) => {
        mod memory { $($(
            #[tokio::test]
            async fn $case() {
                crate::database::on_memory(|store| super::$file::$case(store)).await;
            }
        )*)* }
        mod file { $($(
            #[tokio::test]
            async fn $case() {
                crate::database::on_file(|store| super::$file::$case(store)).await;
            }
        )*)* }
        mod postgres { $($(
            #[tokio::test]
            async fn $case() {
                crate::database::on_postgres(|store| super::$file::$case(store)).await;
            }
        )*)* }
        /// The model has to keep the contract before anything is compared with it.
        mod model { $($(
            #[tokio::test]
            async fn $case() {
                super::$file::$case(std::sync::Arc::new(tenure_testkit::model::Model::default())).await;
            }
        )*)* }
    };
}

suite! {
    agents:
        a_tenants_name_is_unique
        tenants_are_listed_by_name
        an_agents_name_is_unique_in_its_tenant
        the_newest_version_is_the_agents_latest
        a_version_that_is_taken_is_a_conflict
        an_alias_is_replaced;
    runs:
        a_run_comes_back_as_it_was_saved
        the_end_of_time_can_be_saved
        a_run_is_listed_without_its_payloads
        runs_are_filtered_and_paged
        locking_answers_each_run_in_order
        an_old_revision_is_a_conflict
        a_new_run_with_a_taken_id_is_a_conflict
        a_transaction_that_failed_cannot_be_committed
        a_dropped_transaction_has_no_effect
        a_key_belongs_to_the_first_run
        other_tenants_see_nothing
        the_clock_can_be_set;
    queue:
        the_longest_ready_come_first
        what_is_not_due_or_elsewhere_stays
        a_leased_run_has_left_the_queue
        joined_transitions_leave_the_last_word
        expired_leases_and_forced_cancels_are_found;
    records:
        an_entry_comes_back_as_it_was_saved
        a_page_of_a_journal_ends_by_number_or_bytes
        an_entry_is_written_once
        an_inbox_knows_its_sources
        an_artifact_is_written_once;
}

/// What a case is run on.
type Any = Arc<dyn Store>;
