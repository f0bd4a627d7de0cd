"""Why each setting of Celery is as it is, and the HTTP status of each error."""

HTTP = {
    "illegal_transition": 409,
    "rule_refused": 422,
    "permission_denied": 403,
    "concurrency_conflict": "409, 412 for `If-Match`",
    "locked": 423,
    "not_found": 404,
    "invalid_input": 422,
    "idempotency_mismatch": 422,
    "rate_limited": 429,
    "unavailable": 503,
}

_OPTION = "broker_transport_options"

CELERY = {
    "broker_url": "Database 0 of Redis carries the messages.",
    "result_backend": "Database 1 carries progress and results.",
    f"{_OPTION}.visibility_timeout": "Above the time limit plus the time to stop; the same in "
    "every process on that Redis, Flower too, for the shortest one wins.",
    f"{_OPTION}.unacked_restore_interval": "Looks for messages of dead workers every 5 s; by "
    "default their redelivery takes another 100 s.",
    f"{_OPTION}.unacked_restore_throttle": "As above.",
    f"{_OPTION}.unacked_mutex_expire": "As above.",
    f"{_OPTION}.socket_timeout": "Publishing to a half-open connection would block without end. "
    "Interfaces wait 2 s.",
    f"{_OPTION}.socket_connect_timeout": "As above; interfaces wait 1 s.",
    f"{_OPTION}.socket_keepalive": "Finds connections that died silently.",
    f"{_OPTION}.health_check_interval": "As above.",
    f"{_OPTION}.max_retries": "A dispatch message isn't worth waiting for: the row is "
    "stored, and the sweeper sends it later.",
    f"{_OPTION}.queue_order_strategy": "The queues are served in their order; by default they "
    "take turns.",
    "task_queues": "In the order in which a worker without options serves them. What is short "
    "and keeps the house in order isn't starved by a long bulk run.",
    "task_default_queue": "A task without a queue of its own is upkeep.",
    "task_create_missing_queues": "A typo fails instead of making a queue that nobody reads.",
    "task_acks_late": "A message is acknowledged after the commit.",
    "task_reject_on_worker_lost": "The message of a lost child comes back at once; attempts are "
    "counted in PostgreSQL, so a killer chunk ends.",
    "task_acks_on_failure": "The state is in PostgreSQL; the sweeper decides what is tried again.",
    "task_acks_on_timeout": "As above.",
    "task_ignore_result": "One result an operation, not one a chunk.",
    "task_time_limit": "Bounds a run.",
    "task_soft_time_limit": "As above.",
    "task_serializer": "JSON only: what comes over the wire must not be able to run.",
    "result_serializer": "As above.",
    "accept_content": "As above.",
    "result_accept_content": "As above.",
    "task_send_sent_event": "Flower shows what waits.",
    "worker_send_task_events": "Flower shows what runs.",
    "worker_prefetch_multiplier": "A worker holds little, so that a kill loses little.",
    "worker_cancel_long_running_tasks_on_connection_loss": "True loses running tasks when the "
    "results are on the same dead Redis.",
    "worker_soft_shutdown_timeout": "Short tasks end; the rest goes back to its queue.",
    "worker_max_tasks_per_child": "Against leaks.",
    "worker_max_memory_per_child": "As above, in KiB.",
    "worker_proc_alive_timeout": "Imports can be slow on a loaded machine.",
    "worker_hijack_root_logger": "Logs are ours to configure.",
    "broker_connection_retry_on_startup": "A worker may start before its broker.",
    "broker_connection_max_retries": "Never gives up; the default does after 46 minutes.",
    "broker_channel_error_retry": "As above.",
    "broker_pool_acquire_timeout": "The default waits for ever.",
    "result_backend_always_retry": "True blocks the worker's main process while Redis is down.",
    "redis_socket_timeout": "As for the broker.",
    "redis_socket_connect_timeout": "As for the broker.",
    "redis_retry_on_timeout": "As for the broker.",
    "redis_backend_health_check_interval": "As for the broker.",
    "beat_schedule": "Bare ticks, which mean nothing by themselves; see `beat_schedule.py`.",
    "beat_scheduler": "Celery's own, with a file that it touches for health checks.",
    "lockside_heartbeat_file": "That file, from `LOCKSIDE_HEARTBEAT_FILE`.",
    "timezone": "One zone for all that is stored.",
}
