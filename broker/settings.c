/* Settings: what the configuration means to each floor. */
#include "broker/settings.h"

#include <malloc.h>
#include <sys/resource.h>

/* Files that are not connections: the journal's and its directory, listeners, eventfds, the log,
 * and some for whatever the libraries open. */
#define SETTINGS_FILES_KEPT 48
/* Output may wait beyond what live subscribers are allowed by this factor before the peer is no
 * longer read: the rest is answers to what it asked. */
#define SETTINGS_OUTPUT_FACTOR 2

/* Counts in config.def are bounded well below 32 bits, and so are the sizes that are narrowed. */
static uint32_t narrow(uint64_t value)
{
    return value > UINT32_MAX ? UINT32_MAX : (uint32_t)value;
}

struct core_limits settings_core_limits(const struct config *config)
{
    return (struct core_limits){
        .message_bytes_max = narrow(config->limits_message_bytes_max),
        .frame_bytes_max = narrow(config->limits_frame_bytes_max),
        .headers_count_max = narrow(config->limits_headers_count_max),
        .headers_bytes_max = narrow(config->limits_headers_bytes_max),
        .queues_max = narrow(config->limits_queues_max),
        .exchanges_max = narrow(config->limits_exchanges_max),
        .bindings_max = narrow(config->limits_bindings_max),
        .consumers_max = narrow(config->limits_consumers_max),
        .clients_max = narrow(config->limits_clients_max),
        .calls_max = narrow(config->limits_calls_max),
        .timers_max = narrow(config->limits_timers_max),
        .lane_window = narrow(config->limits_lane_window),
        .tracked_max = narrow(config->limits_tracked_max),
        .keys_max = narrow(config->limits_keys_max),
        .results_max = narrow(config->limits_results_max),
        .results_bytes_max = config->limits_results_bytes_max,
        .result_bytes_max = config->limits_result_bytes_max,
        .checkpoint_bytes_max = narrow(config->limits_checkpoint_bytes_max),
        .result_ttl_ms = config->limits_result_ttl,
        .refusals_max = narrow(config->limits_refusals_max),
        .transient_bytes_max = config->limits_transient_bytes_max,
        .index_bytes_max = config->journal_index_bytes_max,
        .unsent_bytes_max = config->limits_unsent_bytes_max,
        .live_unsent_bytes_max = config->limits_live_unsent_bytes_max,
        .credit_messages = narrow(config->limits_credit_messages),
        .credit_bytes = narrow(config->limits_credit_bytes),
        .pending_bytes_max = config->limits_pending_bytes_max,
        .restate_bytes_per_second = config->journal_restate_bytes_per_second,
        .heartbeat_ms = narrow(config->timeouts_heartbeat),
        .attempts_max = narrow(config->queue_attempts),
        .backoff_ms = config->queue_backoff,
        .backoff_max_ms = config->queue_backoff_max,
        .lease_ms = config->queue_lease,
        .retry_for_ms = config->queue_retry_for,
        .queue_prefetch_messages = narrow(config->queue_prefetch_messages),
        .event_prefetch_messages = narrow(config->event_prefetch_messages),
        .entities_max = narrow(config->limits_entities_max),
        .history_file_bytes = narrow(config->history_file_bytes),
        .history_keys_max = narrow(config->limits_history_keys_max),
        .history_read_bytes_max = config->history_read_bytes_max,
        .history_save_bytes = config->history_save_bytes,
    };
}

struct net_limits settings_net_limits(const struct config *config, uint32_t connections_most)
{
    uint32_t connections_max = narrow(config->limits_connections_max);
    return (struct net_limits){
        .connections_max = connections_max < connections_most ? connections_max : connections_most,
        .unauthenticated_max = narrow(config->limits_unauthenticated_max),
        .frame_bytes_max = narrow(config->limits_frame_bytes_max),
        .output_bytes_max = config->limits_live_unsent_bytes_max * SETTINGS_OUTPUT_FACTOR,
        .handshake_ms = config->timeouts_handshake,
        .close_ms = config->timeouts_close,
    };
}

struct journal_options settings_journal_options(const struct config *config)
{
    return (struct journal_options){
        .segment_bytes = narrow(config->journal_segment_bytes),
        .spare_count = narrow(config->journal_spare_count),
        .cache_bytes_max = config->journal_cache_bytes_max,
    };
}

uint32_t settings_raise_files(const struct config *config, struct log *log)
{
    struct rlimit limit = {RLIM_INFINITY, RLIM_INFINITY};
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
        struct rlimit raised = {limit.rlim_max, limit.rlim_max};
        if (setrlimit(RLIMIT_NOFILE, &raised) == 0)
            limit = raised;
    }
    uint64_t files = limit.rlim_cur == RLIM_INFINITY ? UINT32_MAX : limit.rlim_cur;
    uint32_t most = narrow(files > SETTINGS_FILES_KEPT ? files - SETTINGS_FILES_KEPT : 1);
    if (most < config->limits_connections_max)
        log_write(log, LOG_LEVEL_WARNING, "net",
                  "the limit of %llu open files leaves room for %u connections only, not for "
                  "limits.connections_max = %llu",
                  (unsigned long long)files, most,
                  (unsigned long long)config->limits_connections_max);
    return most;
}

void settings_tune_memory(void)
{
    /* 32 MiB is the largest threshold that glibc takes. */
    (void)mallopt(M_MMAP_THRESHOLD, 32 * 1024 * 1024);
    (void)mallopt(M_TRIM_THRESHOLD, 256 * 1024 * 1024);
    (void)mallopt(M_TOP_PAD, 1024 * 1024);
}
