"""Jobs, their attempts, their places in the queue, what they wait for, and the boards that are held by them."""

from __future__ import annotations

from dynolab.hub.checks.base import Rule

KEEP = "keep what `dynolab hub check --json` says and the hub's log, and report it: the hub keeps this itself"
"""Of what only a mistake of the hub, or a hand in the database, brings about."""
CANCEL = "cancel the job and submit it again; " + KEEP
RUNS_FOR = "extract(epoch FROM now() - a.started_at)"

RULES = (
    Rule(
        "job-queued",
        "a job that waits for a board is in the queue",
        """
        SELECT 'job ' || j.id, 'it waits, and its entry ' || j.queue_entry || ' is not in the queue', j.updated_at
        FROM job j LEFT JOIN pgqueuer q ON q.id = j.queue_entry
        WHERE j.state = 'queued' AND j.queue_entry IS NOT NULL AND q.id IS NULL
        """,
        CANCEL,
    ),
    Rule(
        "job-entry-state",
        "the queue's entry of a job is free while the job waits, and taken while it runs",
        """
        SELECT 'job ' || j.id, 'it is ' || j.state || ', its entry ' || q.id || ' is ' || q.status, j.updated_at
        FROM job j JOIN pgqueuer q ON q.id = j.queue_entry
        WHERE (j.state = 'queued' AND q.status <> 'queued')
           OR (j.state IN ('preparing', 'running') AND q.status <> 'picked')
        """,
        CANCEL,
    ),
    Rule(
        "job-running-entry",
        "a job that runs has kept its place in the queue, which it goes back to when its device is lost",
        """
        SELECT 'job ' || j.id, 'it is ' || j.state || ', and has no entry in the queue', j.updated_at
        FROM job j LEFT JOIN pgqueuer q ON q.id = j.queue_entry
        WHERE j.state IN ('preparing', 'running') AND q.id IS NULL
        """,
        KEEP,
    ),
    Rule(
        "queue-entry-of-a-job",
        "each entry of the queue is that of one job that is not over",
        """
        SELECT 'queue entry ' || q.id,
            CASE WHEN j.id IS NULL THEN 'there is no job ' || coalesce(convert_from(q.payload, 'UTF8'), '(none)')
                 WHEN j.queue_entry IS DISTINCT FROM q.id THEN 'the job ' || j.id || ' has ' ||
                    coalesce('the entry ' || j.queue_entry, 'none')
                 ELSE 'the job ' || j.id || ' is ' || j.state END, q.created
        FROM pgqueuer q LEFT JOIN job j ON j.id = convert_from(q.payload, 'UTF8')
        WHERE j.id IS NULL OR j.queue_entry IS DISTINCT FROM q.id OR j.state NOT IN ('queued', 'preparing', 'running')
        """,
        "an agent that takes it clears it away; " + KEEP,
    ),
    Rule(
        "queue-entry-in-line",
        "a job waits in the line of its own pool and system, or toolchain",
        """
        SELECT 'job ' || j.id, 'it waits in the line ' || q.entrypoint, j.updated_at
        FROM job j JOIN pgqueuer q ON q.id = j.queue_entry
        WHERE j.state = 'queued' AND j.pool_id IS NOT NULL AND q.entrypoint NOT IN (
            'pool:' || j.pool_id || '|' || coalesce(CAST(:makes AS text) || j.toolchain, j.device_os),
            'pool:' || j.pool_id || '|' || coalesce(CAST(:makes AS text) || j.toolchain, j.device_os) || '|' || j.account_id)
        """,
        CANCEL,
    ),
    Rule(
        "job-waits-for-something",
        "a job that waits for other jobs waits for one that is not over",
        """
        SELECT 'job ' || j.id, 'all that it waits for is over, and it is not in the queue', j.updated_at
        FROM job j WHERE j.state = 'queued' AND j.queue_entry IS NULL AND NOT EXISTS (
            SELECT 1 FROM dependency d JOIN job n ON n.id = d.needed_id
            WHERE d.job_id = j.id AND n.state IN ('queued', 'preparing', 'running'))
        """,
        CANCEL,
    ),
    Rule(
        "job-needs-are-done",
        "no job is in the queue, runs or is done before those that it waits for are done",
        """
        SELECT 'job ' || j.id, 'it is ' || j.state || ', and the job ' || n.id || ' that it waits for is ' || n.state,
            j.updated_at
        FROM dependency d JOIN job j ON j.id = d.job_id JOIN job n ON n.id = d.needed_id
        WHERE n.state <> 'done'
            AND (j.state IN ('preparing', 'running', 'done') OR (j.state = 'queued' AND j.queue_entry IS NOT NULL))
        """,
        CANCEL,
    ),
    Rule(
        "job-needs-did-not-fail",
        "no job waits for one that failed or was cancelled",
        """
        SELECT 'job ' || j.id, 'it waits for the job ' || n.id || ', which is ' || n.state, n.finished_at
        FROM dependency d JOIN job j ON j.id = d.job_id JOIN job n ON n.id = d.needed_id
        WHERE j.state = 'queued' AND n.state IN ('failed', 'cancelled')
        """,
        CANCEL,
    ),
    Rule(
        "no-circle-of-jobs",
        "no jobs wait for each other",
        """
        WITH RECURSIVE waits (job_id, needed_id) AS (
            SELECT d.job_id, d.needed_id FROM dependency d JOIN job j ON j.id = d.job_id WHERE j.state = 'queued'
            UNION
            SELECT w.job_id, d.needed_id FROM waits w JOIN dependency d ON d.job_id = w.needed_id
                JOIN job j ON j.id = d.job_id WHERE j.state = 'queued')
        SELECT 'job ' || w.job_id, 'it waits for itself', j.created_at
        FROM waits w JOIN job j ON j.id = w.job_id WHERE w.job_id = w.needed_id
        """,
        "cancel one of them; " + KEEP,
    ),
    Rule(
        "job-one-running-attempt",
        "a job that runs has one attempt that runs, and no other job has one",
        """
        SELECT 'job ' || j.id, 'it is ' || j.state || ', and ' || count(a.id) || ' of its attempts run', j.updated_at
        FROM job j LEFT JOIN attempt a ON a.job_id = j.id AND a.state = 'running'
        GROUP BY j.id HAVING count(a.id) <> CASE WHEN j.state IN ('preparing', 'running') THEN 1 ELSE 0 END
        """,
        CANCEL,
    ),
    Rule(
        "attempts-numbered",
        "a job's attempts are numbered from 1 without a gap, and as many as it says",
        """
        SELECT 'job ' || j.id, 'it says ' || j.attempts || ', and its attempts are ' ||
            coalesce(string_agg(a.number::text, ', ' ORDER BY a.number), 'none'), j.updated_at
        FROM job j LEFT JOIN attempt a ON a.job_id = j.id
        GROUP BY j.id HAVING count(a.id) <> j.attempts OR coalesce(max(a.number), 0) <> j.attempts
            OR coalesce(min(a.number), 1) <> 1
        """,
        KEEP,
    ),
    Rule(
        "attempts-within-limit",
        "no job has more attempts than it may; those that found their board in use have a limit of their own",
        """
        SELECT 'job ' || j.id, 'it has ' || j.attempts || ' attempts, ' || b.busy || ' of them found the board in use', j.updated_at
        FROM job j CROSS JOIN LATERAL (
            SELECT count(*) AS busy FROM attempt a WHERE a.job_id = j.id AND a.failure->>'code' = 'DeviceBusy'
        ) b WHERE j.attempts > CAST(:max_attempts AS int)
            AND (j.attempts - b.busy > CAST(:max_attempts AS int) OR b.busy > CAST(:busy_most AS int))
        """,
        KEEP,
    ),
    Rule(
        "job-done-once",
        "no job was done twice, and its last attempt is what made it done",
        """
        SELECT 'job ' || j.id, 'it is ' || j.state || ', ' || count(*) FILTER (WHERE a.state = 'done') ||
            ' of its attempts are done, and the last is ' || (array_agg(a.state ORDER BY a.number DESC))[1],
            max(a.finished_at)
        FROM job j JOIN attempt a ON a.job_id = j.id
        GROUP BY j.id HAVING count(*) FILTER (WHERE a.state = 'done') > 1
            OR (j.state = 'done' AND (array_agg(a.state ORDER BY a.number DESC))[1] <> 'done')
            OR (j.state IN ('queued', 'preparing', 'running') AND bool_or(a.state = 'done'))
        """,
        KEEP,
    ),
    Rule(
        "job-ended-once",
        "a job that is over says when, and why if it was not done; one that is not says neither",
        """
        SELECT 'job ' || j.id, 'it is ' || j.state || CASE WHEN j.finished_at IS NULL THEN ', without an end'
            ELSE ', with an end' END || CASE WHEN j.failure IS NULL THEN ' and no reason' ELSE ' and a reason' END,
            coalesce(j.finished_at, j.updated_at)
        FROM job j WHERE (j.state IN ('done', 'failed', 'cancelled')) <> (j.finished_at IS NOT NULL)
            OR (j.state IN ('failed', 'cancelled')) <> (j.failure IS NOT NULL)
        """,
        KEEP,
    ),
    Rule(
        "job-has-its-own-result",
        "the result of a job that is done is that of its last attempt",
        """
        SELECT 'job ' || j.id, 'its result is the blob ' || coalesce(j.result_blob_id, '(none)') ||
            ', its last attempt left ' || coalesce(a.result_blob_id, '(none)'), j.finished_at
        FROM job j JOIN attempt a ON a.job_id = j.id AND a.number = j.attempts
        WHERE j.state = 'done' AND j.result_blob_id IS DISTINCT FROM a.result_blob_id
        """,
        KEEP,
    ),
    Rule(
        "job-made-its-model",
        "a job that makes a model and is done has made it",
        """
        SELECT 'job ' || j.id, 'the model ' || m.id || ' that it made has no bytes', j.finished_at
        FROM job j JOIN model m ON m.id = j.target_model_id
        WHERE j.state = 'done' AND m.deleted_at IS NULL AND m.blob_id IS NULL
        """,
        "run the job again; " + KEEP,
    ),
    Rule(
        "job-has-its-files",
        "what a job in the queue is about is there: no board could take it otherwise",
        """
        SELECT 'job ' || j.id, what || ' has no bytes any more', j.updated_at
        FROM job j, LATERAL (
            SELECT 'the model ' || m.id AS what FROM model m WHERE m.blob_id IS NULL AND m.id = ANY (
                ARRAY[j.model_id, j.baseline_id] || coalesce(j.linked_ids, '{}') || coalesce(j.source_ids, '{}'))
            UNION ALL
            SELECT 'the dataset ' || d.id FROM dataset d WHERE d.blob_id IS NULL AND d.id = j.dataset_id) AS gone
        WHERE j.state IN ('preparing', 'running') OR (j.state = 'queued' AND j.queue_entry IS NOT NULL)
        """,
        CANCEL,
    ),
    Rule(
        "one-job-an-idempotency-key",
        "a request that was sent again with its idempotency key made one job",
        """
        SELECT 'account ' || j.account_id, 'the key ' || j.idempotency_key || ' stands for ' ||
            string_agg(j.id, ', ' ORDER BY j.created_at), min(j.created_at)
        FROM job j WHERE j.idempotency_key IS NOT NULL
        GROUP BY j.account_id, j.idempotency_key, floor(extract(epoch FROM j.created_at) / CAST(:key_life_s AS float))
        HAVING count(*) > 1 AND max(j.created_at) - min(j.created_at) < make_interval(secs => CAST(:key_life_s AS float))
        """,
        "cancel what was not wanted; " + KEEP,
    ),
    Rule(
        "attempt-ended-once",
        "an attempt that is over says when; one that runs does not",
        """
        SELECT 'attempt ' || a.id, 'it is ' || a.state || ' of the job ' || a.job_id ||
            CASE WHEN a.finished_at IS NULL THEN ', without an end' ELSE ', with an end' END, a.started_at
        FROM attempt a WHERE (a.state = 'running') = (a.finished_at IS NOT NULL)
        """,
        KEEP,
    ),
    Rule(
        "board-held-by-its-attempt",
        "a board is held by the attempt that runs on it, and by no attempt that has ended",
        """
        SELECT 'device ' || d.id, CASE WHEN a.id IS NULL THEN 'it is held by an attempt that is not there'
            WHEN a.state <> 'running' THEN 'it is held by an attempt of the job ' || a.job_id || ' that is ' || a.state
            ELSE 'it is held by an attempt on the device ' || a.device_id END, coalesce(a.finished_at, d.seen_at)
        FROM device d LEFT JOIN attempt a ON a.id = d.attempt_id
        WHERE d.attempt_id IS NOT NULL AND (a.id IS NULL OR a.state <> 'running' OR a.device_id <> d.id)
        """,
        KEEP,
    ),
    Rule(
        "attempt-holds-its-board",
        "an attempt that runs holds its board, and no board has two",
        """
        SELECT 'device ' || d.id, 'an attempt of the job ' || a.job_id || ' runs on it, and ' ||
            coalesce('it is held by ' || d.attempt_id, 'it is free'), a.started_at
        FROM attempt a JOIN device d ON d.id = a.device_id
        WHERE a.state = 'running' AND d.attempt_id IS DISTINCT FROM a.id
        """,
        "the attempt ends with its lease; " + KEEP,
    ),
    Rule(
        "lease-not-run-out",
        "an attempt whose agent is not heard of ends with its lease",
        """
        SELECT 'attempt ' || a.id, 'nothing was heard for ' || round(extract(epoch FROM now() - a.renewed_at)) ||
            ' s of the device ' || a.device_id || ' that has the job ' || a.job_id, a.renewed_at
        FROM attempt a WHERE a.state = 'running'
            AND a.renewed_at < now() - make_interval(secs => 2 * CAST(:lease_s AS float) + 60)
        """,
        "look into the hub's log: does its sweep of leases fail? Does this command have the hub's DYNOLAB_LEASE_S?",
        needs_hub=True,
    ),
    Rule(
        "deadline-kept",
        "an attempt that runs longer than its job's deadline is ended",
        f"""
        SELECT 'attempt ' || a.id, 'it runs for ' || round({RUNS_FOR}) || ' s, and the job ' || j.id || ' allows ' ||
            coalesce(j.deadline_s, CAST(:run_s AS float)) || ' s', a.started_at
        FROM attempt a JOIN job j ON j.id = a.job_id WHERE a.state = 'running'
            AND {RUNS_FOR} > coalesce(j.deadline_s, CAST(:run_s AS float)) + greatest(a.away_s, 0) + 2 * CAST(:lease_s AS float) + 60
        """,
        "look into the hub's log: does its sweep of deadlines fail? Does this command have the hub's DYNOLAB_RUN_S?",
        needs_hub=True,
    ),
    Rule(
        "free-board-takes-jobs",
        "no job waits for long while a board that may have it asks for one",
        """
        SELECT 'job ' || j.id, 'it waits, and the device ' || d.id || ' of its pool is free', j.updated_at
        FROM job j JOIN pgqueuer q ON q.id = j.queue_entry AND q.status = 'queued'
            JOIN device d ON d.pool_id = j.pool_id JOIN token t ON t.id = d.token_id
        WHERE j.state = 'queued' AND j.cancelled_at IS NULL AND d.attempt_id IS NULL
            AND j.updated_at < now() - make_interval(secs => 4 * CAST(:idle_s AS float))
            AND CASE WHEN j.toolchain IS NULL
                THEN d.os = j.device_os AND NOT (CAST(:toolchains_only AS text) = ANY (d.attributes))
                ELSE (CAST(:makes AS text) || j.toolchain) = ANY (d.attributes) END
            AND (d.is_confined OR t.account_id = j.account_id)
            AND d.unfit = '' AND d.health <> 'quarantined' AND d.bad_probes = 0
            AND (d.rests_until IS NULL OR d.rests_until <= now())
            AND d.seen_at > now() - make_interval(secs => CAST(:idle_s AS float))
            AND NOT EXISTS (SELECT 1 FROM attempt a WHERE a.device_id = d.id
                AND coalesce(a.finished_at, now()) > now() - make_interval(secs => 2 * CAST(:idle_s AS float)))
        """,
        "look into the log of that device's agent, and of the hub",
        needs_hub=True,
    ),
)
