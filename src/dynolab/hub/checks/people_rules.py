"""Sessions, tokens, invitations, and what is shared with whom."""

from __future__ import annotations

from dynolab.hub.checks.base import Rule
from dynolab.hub.checks.job_rules import KEEP

SWEPT = "the hub's sweep of sessions removes it, and it opens nothing: look into the hub's log for why it does not"

RULES = (
    Rule(
        "session-of-a-good-token",
        "a browser that signed in by a token is signed out when that is revoked",
        """
        SELECT 'session ' || s.id, 'its token ' || t.id || ' was revoked', t.revoked_at
        FROM session s JOIN token t ON t.id = s.token_id WHERE t.revoked_at IS NOT NULL
        """,
        "sign it out on the account's page; " + KEEP,
    ),
    Rule(
        "session-ends-in-time",
        "sessions, invitations and join tokens are removed when their time is over",
        """
        SELECT what, 'its time is over', expires_at FROM (
            SELECT 'session ' || id AS what, expires_at FROM session
            UNION ALL SELECT 'invitation of account ' || account_id, expires_at FROM invitation
            UNION ALL SELECT 'join token ' || id, expires_at + make_interval(secs => CAST(:join_kept_s AS float)) FROM join_token
        ) AS one WHERE expires_at < now() - interval '1 hour'
        """,
        SWEPT,
        needs_hub=True,
    ),
    Rule(
        "join-token-used-once",
        "a join token that was used let one agent in, of its own account",
        """
        SELECT 'join token ' || k.id, CASE WHEN t.id IS NULL THEN 'it was used, and let nobody in'
            WHEN k.used_at IS NULL THEN 'it let an agent in, and was not used'
            ELSE 'it let in an agent of another account' END, coalesce(k.used_at, k.created_at)
        FROM join_token k LEFT JOIN token t ON t.id = k.token_id
        WHERE (k.used_at IS NULL) <> (t.id IS NULL) OR t.account_id <> k.account_id OR t.kind <> 'agent'
        """,
        "revoke that agent's token; " + KEEP,
    ),
    Rule(
        "agent-token-of-an-agent",
        "devices are served, and attempts run, by agents' tokens alone",
        """
        SELECT what, 'the token ' || t.id || ' is no agent''s: it is a ' || t.kind || '''s', t.created_at FROM (
            SELECT 'device ' || id AS what, token_id FROM device
            UNION ALL SELECT 'attempt ' || id, token_id FROM attempt WHERE state = 'running') AS one
        JOIN token t ON t.id = one.token_id WHERE t.kind <> 'agent'
        """,
        "revoke that token; " + KEEP,
    ),
    Rule(
        "shared-is-there",
        "what is shared is there, and so is the job with which it was",
        """
        SELECT 'share of ' || s.target_id || ' with ' || s.email, CASE WHEN s.via <> '' AND v.id IS NULL
            THEN 'the job ' || s.via || ' is gone' ELSE 'there is no such job, model or dataset' END, s.granted_at
        FROM share s LEFT JOIN job v ON v.id = s.via
        WHERE (s.via <> '' AND v.id IS NULL)
           OR NOT EXISTS (SELECT 1 FROM job WHERE id = s.target_id UNION ALL SELECT 1 FROM model WHERE id = s.target_id
            AND deleted_at IS NULL UNION ALL SELECT 1 FROM dataset WHERE id = s.target_id AND deleted_at IS NULL)
        """,
        "nobody sees anything by it; " + KEEP,
    ),
    Rule(
        "organisation-has-an-owner",
        "an organisation has an owner",
        """
        SELECT 'organisation ' || o.name, 'nobody owns it', o.created_at FROM organisation o WHERE NOT EXISTS (
            SELECT 1 FROM member m WHERE m.organisation_id = o.id AND m.project_id IS NULL AND m.role = 'owner')
        """,
        "an administrator of the hub may name one",
        grade="warning",
    ),
    Rule(
        "somebody-runs-the-hub",
        "an account is an administrator's",
        "SELECT 'accounts', 'none is an administrator''s', max(created_at) FROM account HAVING NOT bool_or(is_admin)",
        "make one: dynolab hub account add EMAIL --admin",
        grade="warning",
    ),
)
