//! The stories: what a client and a cluster do together, told once for every cluster.
//!
//! A story has names of its own for its topics and groups, so that all of them run side by side; it waits
//! for nothing without a deadline; and it looks at every record.

mod cluster;
pub(crate) mod reading;
mod stage;

mod addresses;
mod batches;
mod blocking;
mod closing;
mod faults;
mod garbage;
mod groups;
mod large_records;
mod partition_consumer;
mod restarts;
mod send;
mod silent_peer;
mod topics;
mod unreliable_coordinator;
mod unreliable_leader;

use std::pin::Pin;

pub(crate) use cluster::{Cluster, Power, Switching};
pub(crate) use stage::Stage;

/// A story that can be told to a cluster.
#[derive(Clone, Copy)]
pub(crate) struct Story {
    /// What it tells, as `file::story`.
    pub(crate) name: &'static str,
    /// Whether it turns the cluster off and on, and so needs one of its own.
    pub(crate) needs_power: bool,
    /// Whether it needs faults on demand, and so an embedded broker of its own.
    pub(crate) needs_faults: bool,
    /// Tells it. It panics where the story goes wrong.
    pub(crate) tell: fn(Stage) -> Telling,
}

/// A story that is being told.
pub(crate) type Telling = Pin<Box<dyn Future<Output = ()>>>;

/// A story by its path.
macro_rules! story {
    ($path:path) => {
        Story {
            name: stringify!($path),
            needs_power: false,
            needs_faults: false,
            tell: |stage| Box::pin($path(stage)),
        }
    };
    ($path:path, $need:ident) => {
        Story {
            $need: true,
            ..story!($path)
        }
    };
}

/// Every story.
pub(crate) const STORIES: &[Story] = &[
    story!(send::each_record_comes_back_as_it_was_sent),
    story!(send::null_and_empty_are_different),
    story!(send::a_record_carries_the_time_of_its_send),
    story!(send::flush_sends_what_lingers),
    story!(send::flush_with_nothing_to_send_is_over_at_once),
    story!(send::a_dropped_ticket_cancels_nothing),
    story!(send::a_key_finds_the_partition_that_java_gives_it),
    story!(send::a_partition_that_is_not_there_is_named),
    story!(send::a_negative_timestamp_is_refused),
    story!(send::fewer_acknowledgements_still_deliver),
    story!(send::many_tasks_share_a_producer),
    story!(batches::every_codec_is_read_back),
    story!(batches::small_records_never_add_up_to_too_much),
    story!(batches::a_task_sends_in_bulk),
    story!(partition_consumer::order_is_kept_in_each_partition),
    story!(partition_consumer::reading_starts_where_it_is_told),
    story!(partition_consumer::named_partitions_are_sought_and_paused_at_once),
    story!(partition_consumer::seek_goes_on_elsewhere),
    story!(partition_consumer::a_paused_partition_waits_for_its_resume),
    story!(partition_consumer::a_position_out_of_range_is_an_error),
    story!(partition_consumer::a_policy_mends_a_position_out_of_range),
    story!(partition_consumer::small_limits_still_let_everything_through),
    story!(partition_consumer::whole_batches_are_read),
    story!(partition_consumer::a_consumer_of_a_warm_client_waits_in_peace),
    story!(partition_consumer::a_dropped_wait_loses_no_record),
    story!(partition_consumer::clones_share_the_records),
    story!(partition_consumer::one_consumer_reads_several_topics),
    story!(partition_consumer::a_busy_loop_leaves_room_for_others),
    story!(groups::the_next_member_resumes_behind_the_last),
    story!(groups::what_was_not_acknowledged_comes_again),
    story!(groups::commits_are_where_the_application_puts_them),
    story!(groups::two_members_share_and_one_leaves),
    story!(groups::two_members_of_one_client_share_and_one_leaves),
    story!(groups::a_dead_member_is_replaced_after_its_session),
    story!(groups::a_dropped_member_leaves_at_once),
    story!(groups::a_group_reads_several_topics),
    story!(groups::a_spare_member_takes_over),
    story!(groups::groups_do_not_know_each_other),
    story!(topics::a_topic_is_made_listed_described_and_deleted),
    story!(topics::a_refusal_of_one_topic_is_the_error_of_the_call),
    story!(topics::a_deleted_topic_stays_deleted),
    story!(topics::a_topic_that_is_made_anew_is_empty),
    story!(topics::what_cannot_be_made_is_refused_by_name),
    story!(topics::one_refusal_does_not_stop_the_others),
    story!(topics::a_producer_names_the_topic_there_is_not),
    story!(topics::a_consumer_names_the_topic_there_is_not),
    story!(large_records::a_record_larger_than_a_request_is_refused_at_once),
    story!(large_records::a_record_of_nearly_a_megabyte_passes),
    story!(large_records::a_record_that_the_broker_refuses_stops_no_other),
    story!(large_records::a_refused_record_spares_those_of_its_batch),
    story!(blocking::a_thread_produces_and_consumes),
    story!(blocking::a_dropped_member_leaves_at_once),
    story!(blocking::async_code_is_not_blocked),
    story!(closing::closing_a_producer_sends_what_it_has),
    story!(closing::a_producer_closes_in_time_without_an_answer),
    story!(closing::dropping_a_producer_settles_its_tickets),
    story!(closing::closing_a_consumer_ends_those_who_wait),
    story!(closing::a_consumer_closes_at_any_moment),
    story!(closing::a_consumer_closes_in_time_without_an_answer),
    story!(closing::closing_a_client_ends_what_it_made),
    story!(closing::handles_may_outlive_their_runtime),
    story!(closing::a_client_ends_with_its_runtime_and_says_so),
    story!(addresses::nobody_listens),
    story!(addresses::a_name_does_not_resolve),
    story!(addresses::a_port_speaks_something_else),
    story!(addresses::a_port_stays_silent),
    story!(addresses::a_port_hangs_up),
    story!(addresses::one_good_address_is_enough),
    story!(addresses::what_is_no_address_is_refused),
    story!(garbage::garbage_closes_its_own_connection_alone),
    story!(restarts::acknowledged_records_survive_a_kill, needs_power),
    story!(
        restarts::a_stop_under_load_loses_and_doubles_nothing,
        needs_power
    ),
    story!(
        restarts::a_kill_under_load_loses_and_doubles_nothing,
        needs_power
    ),
    story!(restarts::consumers_go_on_after_a_restart, needs_power),
    story!(restarts::offsets_survive_stop_and_kill, needs_power),
    story!(restarts::topics_survive_stop_and_kill, needs_power),
    story!(restarts::a_cluster_that_is_away_is_named, needs_power),
    story!(
        restarts::a_member_closes_soon_while_the_cluster_is_away,
        needs_power
    ),
    story!(
        faults::a_silent_connection_is_given_up_in_time,
        needs_faults
    ),
    story!(
        faults::a_hopeless_send_ends_in_time_and_without_haste,
        needs_faults
    ),
    story!(faults::an_identity_comes_late, needs_faults),
    story!(faults::metadata_that_lags_is_asked_for_again, needs_faults),
    story!(
        faults::a_machine_goes_down_with_what_was_not_durable,
        needs_faults
    ),
    story!(faults::a_partition_in_trouble_stops_no_other, needs_faults),
    story!(faults::a_stall_of_the_broker_passes, needs_faults),
    story!(faults::a_listing_survives_a_lost_answer, needs_faults),
    story!(faults::sessions_end_by_the_clock_of_the_group, needs_faults),
    story!(
        faults::a_close_tells_why_an_offset_was_not_committed,
        needs_faults
    ),
    story!(
        unreliable_leader::whatever_becomes_of_a_batch_it_is_stored_once,
        needs_faults
    ),
    story!(
        unreliable_leader::whatever_becomes_of_a_fetch_each_record_is_read_once,
        needs_faults
    ),
    story!(
        unreliable_leader::a_controller_that_is_elsewhere_is_asked_again,
        needs_faults
    ),
    story!(
        unreliable_leader::a_broker_that_dies_alone_loses_nothing,
        needs_faults
    ),
    story!(
        unreliable_coordinator::whatever_becomes_of_a_join_the_member_reads,
        needs_faults
    ),
    story!(
        unreliable_coordinator::whatever_becomes_of_a_commit_it_holds,
        needs_faults
    ),
    story!(
        unreliable_coordinator::a_commit_that_is_refused_is_named_and_others_hold,
        needs_faults
    ),
    story!(
        unreliable_coordinator::whatever_a_heartbeat_hears_the_member_goes_on,
        needs_faults
    ),
    story!(
        unreliable_coordinator::a_member_that_is_put_out_waits_for_its_old_session,
        needs_faults
    ),
    story!(
        unreliable_coordinator::a_member_that_is_kept_out_waits_without_haste,
        needs_faults
    ),
    story!(
        unreliable_coordinator::what_will_not_pass_is_told,
        needs_faults
    ),
];
