"""Whether what is kept for some days only goes then, and not before."""

from __future__ import annotations

from dynolab.hub.checks.base import Rule
from dynolab.hub.checks.job_rules import KEEP

KEPT = """
    SELECT '@' || id AS place, kept_days, 'account' AS kind, id::text AS thing FROM account
    UNION ALL SELECT id, kept_days, 'project', id FROM project
"""
"""Each place, for how many days it keeps results, and as what the audit log names it."""
IS_OF = "kept.place = coalesce(one.in_project, '@' || one.account_id)"
CHANGED = "a.verb = 'retention.change' AND a.kind = kept.kind AND a.thing = kept.thing"
"""Of ``audit a``: somebody said how long the place keeps results."""
FREE = "NOT EXISTS (SELECT 1 FROM share WHERE target_id = one.id)"
LATE = "make_interval(days => kept.kept_days, hours => 3)"
"""The sweep comes once an hour."""
SWEPT = "the hub removes it once an hour: look into its log for why it does not"

RULES = (
    Rule(
        "results-end-in-time",
        "results of jobs that are kept for some days only are removed then",
        f"""
        SELECT 'job ' || one.id, 'its results are kept for ' || kept.kept_days || ' days, and are there', one.finished_at
        FROM job one JOIN ({KEPT}) AS kept ON {IS_OF}
        WHERE kept.kept_days IS NOT NULL AND one.created_at < now() - {LATE} AND one.finished_at < now() - {LATE}
            AND one.cleared_at IS NULL AND NOT one.is_pinned AND {FREE}
            AND one.state NOT IN ('queued', 'preparing', 'running')
            AND NOT EXISTS (SELECT 1 FROM audit a WHERE a.at > now() - interval '3 hours' AND (a.thing = one.id
                OR ({CHANGED})))
        """,
        SWEPT,
        needs_hub=True,
    ),
    Rule(
        "results-are-kept",
        "results of jobs are kept for as many days as they should be",
        f"""
        SELECT 'job ' || one.id, 'its results were removed ' || CASE
            WHEN one.finished_at IS NULL THEN 'before it was over'
            ELSE 'after ' || round(CAST(extract(epoch FROM one.cleared_at - one.finished_at) / 86400 AS numeric), 1) || ' days'
            END, one.cleared_at
        FROM job one JOIN ({KEPT}) AS kept ON {IS_OF}
        WHERE one.cleared_at IS NOT NULL AND (one.finished_at IS NULL
            OR one.cleared_at < one.finished_at + make_interval(days => 1)
            OR (one.cleared_at < one.finished_at + make_interval(days => kept.kept_days) AND NOT EXISTS (
                SELECT 1 FROM audit a WHERE {CHANGED} AND a.at >= one.cleared_at)))
        """,
        "restore them from a backup that is older; " + KEEP,
    ),
    Rule(
        "cleared-has-no-results",
        "a job whose results were removed has none",
        """
        SELECT 'job ' || j.id, 'its results were removed, and it has some', j.cleared_at FROM job j
        WHERE j.cleared_at IS NOT NULL AND (coalesce(j.result_blob_id, j.artifact_blob_id) IS NOT NULL OR EXISTS (
            SELECT 1 FROM attempt a WHERE a.job_id = j.id
                AND coalesce(a.result_blob_id, a.artifact_blob_id, a.log_blob_id) IS NOT NULL))
        """,
        KEEP,
    ),
    Rule(
        "kept-dataset-ends-in-time",
        "datasets that are kept for some days only end then",
        f"""
        SELECT 'dataset ' || one.id, 'it is kept for ' || kept.kept_days || ' days, and is there', one.created_at
        FROM dataset one JOIN ({KEPT}) AS kept ON {IS_OF}
        WHERE kept.kept_days IS NOT NULL AND one.created_at < now() - {LATE} AND one.expires_at > now()
            AND one.deleted_at IS NULL AND {FREE}
            AND NOT EXISTS (SELECT 1 FROM job WHERE is_pinned AND (dataset_id = one.id OR output_dataset_id = one.id))
            AND NOT EXISTS (SELECT 1 FROM audit a WHERE a.at > now() - interval '3 hours' AND (a.thing = one.id
                OR a.verb IN ('job.pin', 'dataset.unshare', 'job.unshare')
                OR ({CHANGED})))
        """,
        SWEPT,
        needs_hub=True,
    ),
    Rule(
        "dataset-is-kept",
        "datasets that nobody deleted are kept for as many days as they should be",
        f"""
        SELECT 'dataset ' || one.id, 'it ended after ' || round(
            CAST(extract(epoch FROM one.expires_at - one.created_at) / 86400 AS numeric), 1) || ' days', one.expires_at
        FROM dataset one JOIN ({KEPT}) AS kept ON {IS_OF}
        WHERE one.deleted_at IS NOT NULL AND one.expires_at <= one.deleted_at
            AND one.expires_at < one.created_at + least(make_interval(days => kept.kept_days),
                make_interval(days => CAST(:dataset_life_days AS integer)))
            AND (one.expires_at < one.created_at + make_interval(days => 1) OR NOT EXISTS (
                SELECT 1 FROM audit a WHERE {CHANGED} AND a.at >= one.expires_at))
        """,
        "restore it from a backup that is older; " + KEEP,
    ),
)
