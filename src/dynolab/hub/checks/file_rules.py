"""What the database says of blobs, uploads, models and datasets. Whether the bytes are there is :mod:`.objects`' to find out."""

from __future__ import annotations

from dynolab.hub.checks.base import Rule
from dynolab.hub.checks.job_rules import KEEP
from dynolab.hub.store.tables import UNREAD, blob, metadata

SWEPT = "the hub's sweep of files removes it: look into the hub's log for why it does not"
UNOWNED = " AND ".join(
    f"NOT EXISTS (SELECT 1 FROM {key.parent.table.name} r WHERE r.{key.parent.name} = b.id)"
    for table in metadata.sorted_tables
    for key in sorted(table.foreign_keys, key=lambda one: one.parent.name)
    if key.column is blob.c.id
)
"""Whether nothing refers to the blob ``b``, whichever table's columns do that."""

RULES = (
    Rule(
        "blob-has-an-owner",
        "a blob is part of a model, dataset, job or attempt, or is removed",
        f"""
        SELECT 'blob ' || b.id, b.bytes || ' bytes that nothing refers to', b.created_at FROM blob b
        WHERE b.created_at < now() - make_interval(secs => CAST(:blob_grace_s AS float) + 600) AND {UNOWNED}
        """,
        SWEPT,
        needs_hub=True,
    ),
    Rule(
        "blob-digest-is-known",
        "a blob's SHA-256 digest is known a day after it came: bytes that went past the hub are read once",
        f"""
        SELECT 'blob ' || b.id, b.bytes || ' bytes that nobody has read', b.created_at FROM blob b
        WHERE b.created_at < now() - interval '1 day' AND {UNREAD}
        """,
        "the hub reads DYNOLAB_DIGEST_BYTES_PER_S: raise that where more comes; else look into the hub's log",
        grade="warning",
        needs_hub=True,
    ),
    Rule(
        "stored-bytes-add-up",
        "what is counted of a place's bytes is what its blobs have",
        """
        SELECT 'bytes of ' || coalesce('the project ' || in_project, 'the account ' || account_id),
            sum(counted) || ' are counted, ' || sum(kept) || ' are kept', NULL::timestamptz
        FROM (SELECT account_id, in_project, bytes AS counted, 0 AS kept FROM stored_bytes
            UNION ALL SELECT account_id, in_project, 0, bytes FROM blob WHERE account_id IS NOT NULL) AS one
        GROUP BY account_id, in_project HAVING sum(counted) <> sum(kept)
        """,
        "quotas go by what is counted: is the trigger dynolab_count_bytes of the table blob there? " + KEEP,
    ),
    Rule(
        "total-bytes-add-up",
        "what is counted of all bytes is what all blobs have",
        """
        SELECT 'bytes of the hub', counted || ' are counted, ' || kept || ' are kept', NULL::timestamptz
        FROM (SELECT coalesce(sum(bytes), 0) AS counted FROM total_bytes) AS one,
            (SELECT coalesce(sum(bytes), 0) AS kept FROM blob) AS other
        WHERE counted <> kept
        """,
        "DYNOLAB_DATA_MAX_BYTES goes by what is counted: are the triggers dynolab_count_total_* of the table blob there? In the database, while"
        " the hub runs: INSERT INTO total_bytes (bytes) SELECT (SELECT sum(bytes) FROM blob) - (SELECT sum(bytes) FROM total_bytes). "
        + KEEP,
    ),
    Rule(
        "blob-is-counted",
        "whose bytes a blob's are is known an hour after it came",
        f"""
        SELECT 'blob ' || b.id, b.bytes || ' bytes that count for nobody', b.created_at FROM blob b
        WHERE b.account_id IS NULL AND b.created_at < now() - interval '1 hour' AND NOT ({UNOWNED})
        """,
        "the hub finds it out once a minute: look into its log for why it does not",
        grade="warning",
        needs_hub=True,
    ),
    Rule(
        "object-of-one-blob",
        "no two blobs are made of the same object: who deletes one would break the other",
        """
        SELECT 'object ' || key, 'it is part of ' || string_agg(b.id, ', ' ORDER BY b.id), max(b.created_at)
        FROM blob b, unnest(b.keys) AS key GROUP BY key HAVING count(*) > 1
        """,
        KEEP,
    ),
    Rule(
        "deleted-has-no-bytes",
        "what was deleted has no bytes any more",
        """
        SELECT what, 'it was deleted, and has the blob ' || blob_id, deleted_at FROM (
            SELECT 'model ' || id AS what, blob_id, deleted_at FROM model
            UNION ALL SELECT 'dataset ' || id, blob_id, deleted_at FROM dataset) AS one
        WHERE deleted_at IS NOT NULL AND blob_id IS NOT NULL
        """,
        KEEP,
    ),
    Rule(
        "dataset-ends-in-time",
        "a dataset is deleted when its time is over",
        """
        SELECT 'dataset ' || d.id, 'its time is over', d.expires_at FROM dataset d
        WHERE d.deleted_at IS NULL AND d.expires_at < now() - interval '1 hour' AND NOT EXISTS (
            SELECT 1 FROM job j WHERE j.dataset_id = d.id AND j.state IN ('queued', 'preparing', 'running'))
        """,
        SWEPT,
        needs_hub=True,
    ),
    Rule(
        "upload-not-stuck",
        "an upload that was given up is removed after a day",
        """
        SELECT 'upload ' || u.id, 'it was begun for ' || u.target_id || ', and never completed', u.created_at
        FROM upload u WHERE u.completed_at IS NULL
            AND u.created_at < now() - make_interval(secs => CAST(:upload_life_s AS float) + 3600)
        """,
        SWEPT,
        needs_hub=True,
    ),
    Rule(
        "upload-has-a-target",
        "an upload is that of a model or dataset that is there",
        """
        SELECT 'upload ' || u.id, 'there is no model or dataset ' || u.target_id, u.created_at FROM upload u
        WHERE NOT EXISTS (SELECT 1 FROM model WHERE id = u.target_id AND deleted_at IS NULL)
          AND NOT EXISTS (SELECT 1 FROM dataset WHERE id = u.target_id AND deleted_at IS NULL)
        """,
        KEEP,
    ),
    Rule(
        "upload-gave-its-bytes",
        "a model or dataset whose upload is complete has its bytes",
        """
        SELECT 'upload ' || u.id, 'it is complete, and ' || u.target_id || ' has no bytes', u.completed_at
        FROM upload u JOIN (SELECT id, blob_id, deleted_at FROM model UNION ALL
            SELECT id, blob_id, deleted_at FROM dataset) AS one ON one.id = u.target_id
        WHERE u.completed_at IS NOT NULL AND one.deleted_at IS NULL AND one.blob_id IS NULL
        """,
        "upload it again; " + KEEP,
    ),
)
