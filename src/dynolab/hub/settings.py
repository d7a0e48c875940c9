"""What an operator may set. Each setting is declared once: its field here, with its kind, bounds and meaning.

Its name is the field's: ``lease_s`` is ``DYNOLAB_LEASE_S`` in the environment, and ``lease_s`` in a configuration file.
Where values come from: :mod:`dynolab.hub.configuration`.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from dynolab.hub.setting_types import (
    Choice,
    File,
    Number,
    Switch,
    Text,
    Texts,
    Type,
    database_address,
    domain,
    network,
    provider_address,
    public_address,
    scrape_token,
    store_address,
)
from dynolab.logs import FORMATS

MIB = 1 << 20


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting: ``name`` in a file, and what it is for; ``option``: its option on the command line, if it has one."""

    name: str
    type: Type
    text: str
    default: object
    option: str | None = None

    @property
    def variable(self) -> str:
        """Its name in the environment."""
        return f"DYNOLAB_{self.name.upper()}"

    def shown(self, value: object) -> str:
        """A value of it, as it is told: without secrets; None is ``none``."""
        return "none" if value is None else self.type.show(value) or "none"


def declared(default: object, kind: Type, text: str, *, option: str | None = None) -> Any:
    """A field that is a setting."""
    return field(default=default, metadata={"kind": kind, "text": text, "option": option})


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """One hub's settings; seconds and bytes."""

    data: Path = field(
        kw_only=False, metadata={"kind": File(), "text": "folder for all that the hub keeps", "option": "--data"}
    )
    host: str = declared("127.0.0.1", Text(), "address to listen at", option="--host")
    port: int = declared(8000, Number("ports", 0, 65535, whole=True), "0: any that is free", option="--port")
    agent: bool = declared(True, Switch(), "whether the hub's machine is a device of it", option="--agent/--no-agent")
    database_url: str | None = declared(
        None,
        Text(database_address, "postgresql://user@host/name"),
        "a PostgreSQL server's database; none: a PostgreSQL of the hub's own",
    )
    database_direct_url: str | None = declared(
        None,
        Text(database_address, "postgresql://user@host/name"),
        "where the database itself is, when database_url leads through PgBouncer or another pooler of transactions",
    )
    blobs_url: str | None = declared(
        None, Text(), "where bytes are kept, such as s3://bucket/prefix; none: a folder below the data folder"
    )
    transfers: str = declared(
        "hub",
        Choice(("hub", "direct")),
        "direct: clients and agents send bytes to the S3 store of blobs_url and fetch them there, not through the hub",
    )
    transfers_endpoint: str | None = declared(
        None, Text(store_address, "https://s3.example"), "how clients reach that store; none: as the hub does"
    )
    public_url: str | None = declared(
        None,
        Text(public_address, "https://hub.example/"),
        "how clients reach the hub: what addresses of files, client.ini and what is printed name; none: as the request came",
    )
    lease_s: float = declared(
        15.0, Number("seconds", 1), "after this long without a word from its agent a job goes to another"
    )
    run_s: float = declared(3600.0, Number("seconds", 1), "how long an attempt may run of a job that names no deadline")
    part_bytes: int = declared(
        64 * MIB, Number("bytes", 5 * MIB, 5 << 30, whole=True), "the size of an upload's parts, but the last"
    )
    model_max_bytes: int = declared(
        64 * 1024 * MIB, Number("bytes", 1, whole=True), "a larger model or dataset is refused"
    )
    data_max_bytes: int | None = declared(
        None,
        Number("bytes", 0, whole=True),
        "uploads that would pass this many bytes in all are refused; none: no bound",
    )
    quota_bytes: int | None = declared(
        None,
        Number("bytes", 0, whole=True),
        "of models, datasets and what jobs leave in one project, or one account's personal space; none: no bound",
    )
    quota_jobs: int | None = declared(
        None, Number("jobs", 0, whole=True), "that wait or run at once, likewise; none: no bound"
    )
    quota_minutes: int | None = declared(
        None, Number("minutes", 0, whole=True), "for which jobs hold devices in a month (UTC), likewise; none: no bound"
    )
    orphan_age_s: float = declared(
        3600.0, Number("seconds", 1), "objects that the database did not know at two looks, this far apart, are removed"
    )
    digest_bytes_per_s: int = declared(
        32 * MIB,
        Number("bytes a second", MIB, whole=True),
        "how fast bytes that went past the hub are read once for their SHA-256 digest, by all replicas together; 50 objects a second at most",
    )
    posts_per_s: float | None = declared(
        100.0,
        Number("requests a second", 0, zero_is_none=True),
        "more POSTs than this from one token are answered 429; 0: no bound",
    )
    trusted_proxies: tuple[str, ...] = declared(
        (),
        Texts(network, "addresses and networks, such as 127.0.0.1,10.0.0.0/8"),
        "proxies whose forwarded headers are believed",
    )
    drain_s: float = declared(
        0.0,
        Number("seconds", 0, 3600),
        "when it is told to end (SIGTERM), how long a replica says at /healthz that it leaves, and goes on, before it takes nothing new",
    )
    grace_s: float = declared(
        3.0, Number("seconds", 0, 3600), "how long requests under way may then take, before they are cut off"
    )
    tls_certificate: Path | None = declared(
        None, File(), "with tls_key the hub speaks HTTPS and nothing else (PEM)", option="--tls-certificate"
    )
    tls_key: Path | None = declared(None, File(), "the certificate's key (PEM)", option="--tls-key")

    log_format: str = declared("text", Choice(FORMATS), "how log lines are written")
    metrics_token: str | None = declared(
        None,
        Text(scrape_token, "at least 16 letters and digits, such as `openssl rand -hex 24` makes", secret=True),
        "who sends it may read /metrics; none: nobody may",
    )

    token_life_days: float | None = declared(
        None,
        Number("days", 0, zero_is_none=True),
        "how long a new token is good when whoever makes it does not say; none: for ever",
    )
    token_life_max_days: float | None = declared(
        None, Number("days", 0, zero_is_none=True), "the longest that a new token may be good; none: no bound"
    )
    token_overlap_s: float = declared(
        86400.0, Number("seconds", 0), "how long a token's old secret is good beside the new one after a rotation"
    )
    audit_days: float | None = declared(
        365.0,
        Number("days", 0, zero_is_none=True),
        "how long the audit log is kept, 30 days at least; 0: for ever",
    )
    oidc_issuer: str | None = declared(
        None,
        Text(provider_address, "https://login.example.org/realm"),
        "the OpenID Connect provider that people may sign in by, as it names itself",
    )
    oidc_client_id: str | None = declared(None, Text(), "what the provider calls this hub")
    oidc_client_secret_file: Path | None = declared(
        None, File(), "the file with the secret that the provider gave for the hub; none: a public client"
    )
    oidc_name: str = declared("OpenID Connect", Text(), "what the sign-in page calls the provider")
    oidc_scopes: tuple[str, ...] = declared(("openid", "email", "profile"), Texts(), "what the provider is asked for")
    oidc_domains: tuple[str, ...] = declared(
        (), Texts(domain, "domains, such as example.org,example.com"), "e-mail domains that are let in; none: all"
    )
    oidc_groups_claim: str = declared("groups", Text(), "the claim that lists a person's groups")
    oidc_required_group: str | None = declared(None, Text(), "who is not in this group is not let in")
    oidc_admin_group: str | None = declared(None, Text(), "who is in this group runs the hub, as long as that is so")
    oidc_new_accounts: bool = declared(True, Switch(), "whether the first sign-in makes an account")
    oidc_vouches_for_email: bool = declared(
        False, Switch(), "addresses count as verified where the provider says neither yes nor no"
    )

    # What no operator sets.
    dataset_life_days: int = 30
    """As AI Hub keeps datasets."""
    minimum_client: tuple[int, int] = (0, 46)
    """Official clients below this are answered 426."""


SETTINGS = tuple(
    Setting(one.name, one.metadata["kind"], one.metadata["text"], one.default, one.metadata.get("option"))
    for one in fields(Settings)
    if "kind" in one.metadata
)
"""All that are declared, in their order."""
