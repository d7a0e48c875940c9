"""What of a deployment the database can tell: boards, sweeps, and how the server is set and loaded."""

from __future__ import annotations

from dynolab.hub.checks.base import Rule

RULES = (
    Rule(
        "pool-has-boards",
        "no job waits for boards of which none was there for long",
        """
        SELECT 'pool ' || p.name || ' (' || p.id || ')', count(DISTINCT j.id) || ' jobs wait, and ' || coalesce(
            'no board of it was seen since ' || to_char(max(d.seen_at) AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI'),
            'it has no board'), coalesce(max(d.seen_at), min(j.created_at))
        FROM job j JOIN pool p ON p.id = j.pool_id LEFT JOIN device d ON d.pool_id = p.id
        WHERE j.state = 'queued' AND j.queue_entry IS NOT NULL GROUP BY p.id
        HAVING min(j.updated_at) < now() - interval '10 minutes'
           AND coalesce(max(d.seen_at), '-infinity') < now() - interval '10 minutes'
        """,
        "start its agents, or cancel the jobs: `dynolab devices` tells when each board was heard of",
        grade="warning",
        needs_hub=True,
    ),
    Rule(
        "boards-are-heard-of",
        "boards that served in the last 30 days were heard of within a day",
        """
        SELECT 'device ' || d.name || ' (' || d.id || ')', 'its agent says nothing', d.seen_at FROM device d
        JOIN token t ON t.id = d.token_id
        WHERE t.revoked_at IS NULL AND d.seen_at < now() - interval '1 day' AND d.seen_at > now() - interval '30 days'
        """,
        "see after it; a board that is gone for good: revoke its agent's token",
        grade="warning",
        needs_hub=True,
    ),
    Rule(
        "leases-are-swept",
        "the hub sweeps leases every second while attempts run",
        """
        SELECT 'attempts that run', count(*) || ' of them, and leases were swept ' || coalesce('last ' ||
            round(extract(epoch FROM now()) - s.value::float) || ' s ago', 'never'), min(a.started_at)
        FROM attempt a LEFT JOIN setting s ON s.name = 'leases_swept_at' WHERE a.state = 'running'
        GROUP BY s.value HAVING min(a.started_at) < now() - interval '60 seconds'
            AND coalesce(extract(epoch FROM now()) - s.value::float, 1e9) > 60
        """,
        "no lost device's job goes to another meanwhile: look into the hub's log",
        needs_hub=True,
    ),
    Rule(
        "sweeps-run",
        "the hub looks after files, sessions, probes, objects, retention and the audit log as often as it should",
        """
        SELECT name, coalesce('it ended well last ' || round(extract(epoch FROM now()) - s.value::float) || ' s ago',
            'it never ended well') || ', and is due every ' || every_s || ' s', to_timestamp(s.value::float)
        FROM (VALUES ('sweep_files', 60.0), ('sweep_sessions', 60.0), ('sweep_probes', 3600.0),
            ('sweep_objects', CAST(:orphan_age_s AS float)), ('sweep_retention', 3600.0), ('sweep_audit', 3600.0)) AS sweep (name, every_s)
        LEFT JOIN setting s USING (name)
        WHERE greatest(CAST(:up_s AS float), 0) > 3 * every_s + 120
            AND coalesce(extract(epoch FROM now()) - s.value::float, 1e9) > 3 * every_s + 120
        """,
        "look into the hub's log: it says there what failed",
        needs_hub=True,
    ),
    Rule(
        "no-long-transaction",
        "no transaction is open for more than 10 minutes: what it sees cannot be cleaned up",
        """
        SELECT 'process ' || pid || ' of the database (' || coalesce(nullif(application_name, ''), 'no name') || ')',
            'its transaction is open for ' || round(extract(epoch FROM clock_timestamp() - xact_start)) || ' s',
            xact_start
        FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()
            AND backend_type = 'client backend' AND xact_start < clock_timestamp() - interval '10 minutes'
        """,
        "end it: SELECT pg_terminate_backend(PID)",
        grade="warning",
    ),
    Rule(
        "commits-are-durable",
        "the database keeps what it acknowledged also when its machine loses power",
        """
        SELECT 'setting ' || name, 'it is ' || setting || ': at a crash, jobs that were acknowledged may be lost',
            NULL::timestamptz
        FROM pg_settings WHERE name IN ('fsync', 'full_page_writes', 'synchronous_commit') AND setting = 'off'
        """,
        "set it to on in postgresql.conf",
        grade="warning",
    ),
    Rule(
        "connections-are-left",
        "a fifth of the database's connections is free for more replicas and commands",
        """
        SELECT 'connections', count(*) || ' of ' || current_setting('max_connections') || ' are used',
            NULL::timestamptz
        FROM pg_stat_activity WHERE backend_type = 'client backend'
        HAVING count(*) > 0.8 * current_setting('max_connections')::int
        """,
        "raise max_connections, or put PgBouncer before it: a replica uses up to 12",
        grade="warning",
    ),
    Rule(
        "tables-are-cleaned",
        "dead rows are cleaned out of tables",
        """
        SELECT 'table ' || relname, n_dead_tup || ' dead rows beside ' || n_live_tup, last_autovacuum
        FROM pg_stat_user_tables WHERE n_dead_tup > 100000 AND n_dead_tup > n_live_tup
        """,
        "is autovacuum on, and no old transaction, replication slot or standby in its way? VACUUM the table",
        grade="warning",
    ),
    Rule(
        "transaction-numbers-are-left",
        "the database is far from running out of transaction numbers",
        """
        SELECT 'database ' || datname, age(datfrozenxid) || ' transactions since it was frozen, of 2,100,000,000',
            NULL::timestamptz
        FROM pg_database WHERE datname = current_database() AND age(datfrozenxid) > 1500000000
        """,
        "VACUUM FREEZE the database before it refuses all writes",
    ),
    Rule(
        "no-slot-keeps-the-log",
        "no replication slot without a standby holds the database's log back: it would fill the disk",
        """
        SELECT 'replication slot ' || slot_name, 'nobody reads it, and it holds ' ||
            pg_size_pretty(pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn)) || ' back', NULL::timestamptz
        FROM pg_replication_slots WHERE NOT active AND restart_lsn IS NOT NULL AND NOT pg_is_in_recovery()
            AND pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn) > 1073741824
        """,
        "start its standby, or drop it: SELECT pg_drop_replication_slot(NAME)",
        grade="warning",
    ),
    Rule(
        "room-within-the-bound",
        "of the bytes that DYNOLAB_DATA_MAX_BYTES allows, a tenth is free",
        """
        SELECT 'blobs', sum(bytes) || ' of ' || CAST(:data_max_bytes AS bigint) || ' bytes are kept',
            NULL::timestamptz
        FROM blob HAVING sum(bytes) > 0.9 * CAST(:data_max_bytes AS bigint)
        """,
        "delete what is not needed, or raise DYNOLAB_DATA_MAX_BYTES: uploads are refused when it is used up",
        grade="warning",
    ),
    Rule(
        "indexes-are-valid",
        "every index can be used",
        """
        SELECT 'index ' || indexrelid::regclass, 'it is not valid: its making was cut short', NULL::timestamptz
        FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
        WHERE c.relnamespace = current_schema()::regnamespace AND NOT i.indisvalid
        """,
        "REINDEX INDEX CONCURRENTLY it",
        grade="warning",
    ),
)
