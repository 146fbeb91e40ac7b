//! The contract, case by case, on every back end.

mod agents;
mod allowances;
mod caps;
mod copies;
mod interrupts;
mod known;
mod lists;
mod messages;
mod queue;
mod records;
mod runs;
mod turns;

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
        leased_runs_are_counted
        locking_answers_each_run_in_order
        an_old_revision_is_a_conflict
        a_new_run_with_a_taken_id_is_a_conflict
        a_transaction_that_failed_cannot_be_committed
        a_dropped_transaction_has_no_effect
        a_key_belongs_to_the_first_run
        other_tenants_see_nothing
        the_clock_can_be_set
        a_clock_that_was_set_is_heard;
    known:
        what_is_as_it_was_known_is_saved
        one_thing_after_another_is_saved
        an_old_revision_saves_nothing
        a_taken_id_or_key_saves_nothing
        an_agent_with_a_newer_version_saves_nothing
        an_agent_that_is_not_there_saves_nothing
        a_cap_saves_nothing_that_is_not_counted
        another_time_saves_nothing
        a_run_that_is_leased_at_once_was_never_in_the_queue;
    lists:
        inputs_are_read_in_order
        a_run_is_listed_without_its_payloads
        runs_are_filtered_and_paged
        runs_are_found_by_what_they_are_part_of
        runs_are_found_by_how_they_failed
        a_check_is_found_and_not_listed;
    queue:
        the_longest_ready_come_first
        what_is_not_due_or_elsewhere_stays
        a_leased_run_has_left_the_queue
        the_first_of_each_priority_are_found
        a_run_can_be_moved_within_the_queue
        those_ahead_are_counted
        what_was_found_is_looked_at_again
        joined_transitions_leave_the_last_word
        expired_leases_and_forced_cancels_are_found
        passed_deadlines_are_found
        the_last_poll_of_a_pool_is_known;
    caps:
        a_cap_is_set_and_removed
        a_cap_comes_with_what_is_running
        a_cap_moves_its_runs_to_a_lane
        those_behind_a_cap_are_found;
    allowances:
        an_allowance_is_set_and_removed
        what_is_spent_is_summed_by_day
        what_is_held_counts_until_it_is_recorded
        what_is_held_is_forgotten_in_time
        many_that_spend_at_once_lose_nothing;
    turns:
        a_turn_belongs_to_the_first
        a_lock_takes_no_turn
        the_longest_waiting_is_next;
    records:
        an_entry_comes_back_as_it_was_saved
        what_an_entry_opens_comes_back
        steering_is_on_record
        a_page_of_a_journal_ends_by_number_or_bytes
        an_entry_is_written_once
        an_inbox_knows_its_sources
        a_wait_may_end_with_a_failure
        an_artifact_is_written_once;
    copies:
        a_copy_has_the_results
        a_copy_stops_before_a_key
        a_copy_may_have_later_tools
        a_copy_may_leave_out_a_failure
        a_copy_leaves_out_what_is_to_be_tried_again
        a_copy_goes_into_an_empty_journal;
    interrupts:
        an_interrupt_comes_back_as_it_was_opened
        an_interrupt_ends_once
        a_key_is_opened_once
        the_end_of_a_run_closes_its_interrupts
        interrupts_are_filtered_and_paged
        those_that_are_due_are_found_with_their_runs
        interrupts_are_read_in_order;
    messages:
        a_message_comes_back_as_it_was_posted
        the_end_of_a_run_is_told
        a_message_is_taken_again_until_it_is_dropped
        called_runs_end_after_all_calls;
}

/// What a case is run on.
type Any = Arc<dyn Store>;
