"""How rows of the audit log are sealed: digests over ranges of ids, each chained to the one before."""

from __future__ import annotations

TEXT = """jsonb_build_array(a.id, to_char(a.at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.US'), a.verb, a.outcome, a.account_id,
    a.who, a.kind, a.thing, a.door, a.address, a.token_id, a.session_id, a.details)::text"""
"""One row of ``audit a``."""
DIGEST = f"encode(sha256(convert_to(string_agg({TEXT}, chr(10) ORDER BY a.id), 'UTF8')), 'hex')"
"""Of several rows of ``audit a``: SHA-256, in hexadecimal."""


def chained(before: str, digest: str) -> str:
    """SQL: what a range's digest is chained to the one before with; both are SQL."""
    return f"encode(sha256(convert_to({before} || {digest}, 'UTF8')), 'hex')"
