"""Whether the audit log is what was written: rows that say what rows say, guarded, sealed, and kept as long as they should be."""

from __future__ import annotations

from dynolab.hub.checks.base import Rule
from dynolab.hub.store.audit_digest import DIGEST, chained

ALTERED = "somebody who may administer the database has altered it: compare with the copies that were exported, and with a backup"

RULES = (
    Rule(
        "audit-log-is-guarded",
        "the database refuses to change rows of the audit log, and to remove young ones",
        """
        SELECT 'trigger ' || must.name, CASE WHEN t.tgname IS NULL THEN 'it is not there' ELSE 'it is switched off' END,
            NULL::timestamptz
        FROM (VALUES ('audit_is_kept'), ('audit_is_not_emptied')) AS must (name)
        LEFT JOIN pg_trigger t ON t.tgname = must.name AND t.tgrelid = 'audit'::regclass
        WHERE t.tgname IS NULL OR t.tgenabled NOT IN ('O', 'A')
        """,
        "ALTER TABLE audit ENABLE TRIGGER ALL, or make it again as the migration 0027 does; and find out who did that",
    ),
    Rule(
        "audit-log-is-whole",
        "rows of the audit log are as they were when they were sealed, and none of those is gone",
        f"""
        SELECT 'audit rows ' || s.after + 1 || ' to ' || s.upto, CASE
                WHEN there.rows <> s.rows THEN there.rows || ' are there, ' || s.rows || ' were sealed'
                WHEN there.digest <> s.digest THEN 'one is another than was sealed'
                ELSE 'their seal does not follow from the one before' END, s.sealed_at
        FROM (SELECT *, lag(upto, 1, 0::bigint) OVER ids AS after, lag(chain) OVER ids AS before
            FROM audit_seal WINDOW ids AS (ORDER BY upto)) AS s
        CROSS JOIN LATERAL (SELECT count(*) AS rows, coalesce({DIGEST}, '') AS digest FROM audit a
            WHERE a.id > s.after AND a.id <= s.upto) AS there
        WHERE there.rows <> s.rows OR there.digest <> s.digest OR s.chain <> {chained("s.before", "s.digest")}
        """,
        ALTERED,
    ),
    Rule(
        "audit-log-is-sealed",
        "rows of the audit log are sealed within hours",
        """
        SELECT 'audit rows', count(*) || ' have no seal', min(at) FROM audit
        WHERE id > coalesce((SELECT max(upto) FROM audit_seal), 0) AND at < now() - interval '4 hours' HAVING count(*) > 0
        """,
        "the hub seals once an hour: look into its log for why it does not",
        grade="warning",
        needs_hub=True,
    ),
    Rule(
        "audit-row-is-well-formed",
        "a row of the audit log tells what was done, by whom, and to what",
        """
        SELECT 'audit row ' || a.id, CASE
                WHEN NOT a.verb = ANY (CAST(:audit_verbs AS text[])) THEN 'nothing is written down as ' || left(a.verb, 40)
                WHEN jsonb_typeof(a.details) <> 'object' THEN 'its details are no object'
                WHEN a.thing <> '' AND a.kind = '' THEN 'it names ' || left(a.thing, 40) || ', and not what that is'
                WHEN a.account_id IS NOT NULL AND c.id IS NULL THEN 'there is no account ' || a.account_id
                ELSE 'it does not tell who it was' END, a.at
        FROM audit a LEFT JOIN account c ON c.id = a.account_id
        WHERE NOT a.verb = ANY (CAST(:audit_verbs AS text[]))
            OR jsonb_typeof(a.details) <> 'object' OR (a.thing <> '' AND a.kind = '')
            OR (a.account_id IS NOT NULL AND c.id IS NULL)
            OR (a.outcome = 'ok' AND a.who NOT IN ('operator', 'hub') AND a.who NOT LIKE '%@%')
        """,
        ALTERED,
    ),
    Rule(
        "audit-row-is-of-the-past",
        "no row of the audit log is of a time to come",
        """
        SELECT 'audit row ' || id, 'it is of a time to come', at FROM audit WHERE at > now() + interval '10 minutes'
        """,
        "the clock of the database's machine was ahead, or somebody who may administer the database has added it",
        grade="warning",
    ),
    Rule(
        "audit-row-ends-in-time",
        "rows of the audit log are removed when they are older than DYNOLAB_AUDIT_DAYS, and a day",
        """
        SELECT 'audit rows', count(*) || ' are older', min(at) FROM audit
        WHERE at < now() - make_interval(secs => CAST(:audit_kept_s AS float) + 86400 + 10800) HAVING count(*) > 0
        """,
        "the hub removes them once an hour: look into its log for why it does not",
        grade="warning",
        needs_hub=True,
    ),
)
