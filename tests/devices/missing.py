"""What a device of the tests says when this machine cannot have it."""

from __future__ import annotations


class Missing(Exception):
    """A program or a right that it needs is not here; the message says how to get it."""
