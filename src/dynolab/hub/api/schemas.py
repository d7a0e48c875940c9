"""What the JSON API takes and gives. Names ending in ``_ns`` are nanoseconds, in ``_bytes`` bytes, in ``_at`` UTC instants."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, JsonValue

from dynolab.hub.usecases.job_request import BUDGET_MOST_S
from dynolab.spec.duets import DEFAULT_BUDGET_S, DEFAULT_FLOOR

TEXT_MAX = 20_000


def _storable(text: str) -> str:
    """PostgreSQL's text takes every character but this one."""
    if "\x00" in text:
        raise ValueError("holds a NUL character")
    return text


Text = Annotated[str, Field(max_length=TEXT_MAX), AfterValidator(_storable)]
"""Any text that can be kept."""
Short = Annotated[str, Field(max_length=256), AfterValidator(_storable)]
Shape = Annotated[list[int], Field(max_length=64)]
State = Literal["queued", "preparing", "running", "done", "failed", "cancelled"]
Kind = Literal["profile", "inference", "compare", "compile", "quantize", "link"]
Weights = Literal["int8", "int4"]
Activations = Literal["int8", "int16"]
Stage = Literal["compile", "first_load", "warm_load", "inference"]
PROJECT = "`ORGANISATION.PROJECT`; null: in its owner's personal space, or in a project that you are not in."
PROJECT_ID = "The project's id; in a personal space the owner's own label, or empty."


class Asked(BaseModel):
    """A request's body: nothing is guessed, and what is not known is refused."""

    model_config = ConfigDict(extra="forbid", strict=True)


class Given(BaseModel):
    """A reply's body, read off a row or an object."""

    model_config = ConfigDict(from_attributes=True)


class ErrorBody(Given):
    """Every reply that is no success."""

    code: str = Field(description="The error's stable name, such as `NotFound`: see docs/commands.md.")
    message: str = Field(description="What was wrong, with the offending value.")
    hint: str | None = Field(description="What to do about it.")
    details: dict[str, JsonValue] = Field(
        description="For programs; of a request that does not fit: `errors`, each with `field`, `value` and `problem`."
    )


# ---- accounts --------------------------------------------------------------------------------------------------------


class Me(Given):
    """Who the token belongs to."""

    id: int
    email: str
    name: str
    project_id: str | None = Field(description="The project that the token works in alone; null: it works in all.")
    token_id: str
    expires_at: datetime | None = Field(description="When what was sent is good no more; null: it has no end.")


class PasswordAsked(Asked):
    """A password to be set."""

    password: Text | None = Field(description="8 to 1024 characters; null: nobody signs in by password any more.")
    current: Text | None = Field(None, description="The one that is set now; needed where there is one.")


class HubAccount(Given):
    """Somebody who has an account, as those who run the hub see it."""

    id: int
    email: str
    name: str
    is_admin: bool = Field(description="Runs the hub.")
    created_at: datetime
    closed_at: datetime | None = Field(description="Since when nothing lets it in; null: it is open.")
    has_password: bool
    by_provider: bool = Field(description="Was signed in by OpenID Connect.")
    tokens: int = Field(description="That are good, its agents' too.")
    seen_at: datetime | None = Field(description="When a browser, client or agent of its was last seen; null: never.")


class HubAccounts(Given):
    """A page of accounts, those that were made last first."""

    accounts: list[HubAccount]
    next: str | None = Field(description="`before` of the next page; null: this is the last.")


class AccountAsked(Asked):
    """An account to be made."""

    email: Short
    name: Short = Field("", description="What others see; empty: what stands before the @.")
    is_admin: bool = Field(False, description="Runs the hub.")


class NewAccount(HubAccount):
    """An account that was just made."""

    secret: str = Field(description="Its first API token. Shown this once; only a digest is kept.")


class AccountChange(Asked):
    """What may be changed of an account; what is left out stays."""

    is_admin: bool | None = None


class ClosedAccount(Given):
    """An account that was just closed: how many of each ended with it."""

    email: str
    tokens: int
    browsers: int
    memberships: int


Scope = Literal["read", "submit", "manage", "agent"]


class TokenAsked(Asked):
    """A token to be made."""

    kind: Literal["user", "agent"] = Field("user", description="Which doors it opens: the users' or the agents'.")
    label: Text = Field("", description="What it is for; shown in lists.")
    scopes: list[Scope] = Field([], max_length=4, description="What it may be used for; none: all of its kind.")
    project: Short = Field(
        "",
        description="The project, by id or `ORGANISATION.PROJECT`, that it is to work in alone: all that is made with it is in there, "
        "and nothing else is seen. Of a user's token; empty: it works in all.",
    )
    days: float | None = Field(
        None, ge=0, le=36_500, description="How long it is good; 0: for ever; null: as the hub is set up."
    )


class RotationAsked(Asked):
    """A token to be rotated."""

    overlap_s: float | None = Field(
        None, ge=0, description="How long the old secret is good beside the new one; null: as the hub is set up."
    )
    days: float | None = Field(
        None, ge=0, le=36_500, description="How long the new secret is good; 0: for ever; null: as the old one was."
    )


class Token(Given):
    """A token, without its secret."""

    id: str
    kind: Literal["user", "agent"]
    label: str
    scopes: list[Scope] = Field(description="Each of a user's holds those before it: read, submit, manage.")
    made_by: str = Field(
        description="`page`, `api`, `password`, `join`, `operator` or `first start`; empty: not known."
    )
    created_at: datetime
    expires_at: datetime | None = Field(description="From when on it opens nothing; null: it has no end.")
    rotated_at: datetime | None = Field(description="Since when it has its present secret; null: it was never rotated.")
    previous_until: datetime | None = Field(description="How long the secret before is good; null: there was none.")
    used_at: datetime | None = Field(description="When it was last used, to five minutes; null: not yet, or not seen.")
    revoked_at: datetime | None = Field(description="From when on it opens nothing; null: it is good.")
    project_id: str | None = Field(description="The project that it works in alone.")


class NewToken(Token):
    """A token that was just made."""

    secret: str = Field(description="Shown this once; only a digest is kept.")


class Tokens(Given):
    """All tokens of the account, newest first."""

    tokens: list[Token]


class AuditEvent(Given):
    """Something that was done, or refused."""

    id: int
    at: datetime
    who: str = Field(description="An e-mail address as it was then; `operator`: a command; `hub`: the hub itself.")
    account_id: int | None
    verb: str
    outcome: Literal["ok", "refused"]
    kind: str = Field(description="What `thing` is: job, model, dataset, token, session, account, pool, device.")
    thing: str
    door: str = Field(description="`pages`, `api`, `aihub`, `agent`, `files` or `command`.")
    address: str = Field(description="Where the request came from.")
    token_id: str = Field(description="The token that it was done with, never its secret.")
    session_id: str
    details: dict[str, Any]


class AuditEvents(Given):
    """A page of the audit log, newest first."""

    events: list[AuditEvent]
    next: str | None = Field(description="The next page's `before`; null: this was the last.")


class OwnEvents(Given):
    """The newest of what the account did, or was done to it."""

    events: list[AuditEvent]


class JoinTokenAsked(Asked):
    """A join token to be made."""

    name: Text = Field("", description="What the device is to be called; empty: the machine's own name.")


class JoiningDevice(Given):
    """A device that joined with a token."""

    id: str
    name: str


class JoinToken(Given):
    """A join token, without its secret, and what became of it."""

    id: str
    name: str
    state: Literal["waiting", "expired", "joined"]
    created_at: datetime
    expires_at: datetime
    device: JoiningDevice | None = Field(description="The device, once it joined and said what it is.")


class JoinTokens(Given):
    """Join tokens that wait for their machines, those that end first before."""

    join_tokens: list[JoinToken]


class NewJoinToken(JoinToken):
    """A join token that was just made."""

    secret: str = Field(description="Shown this once; only a digest is kept. Good for one machine, for an hour.")
    command: str = Field(
        description="The line that installs dynolab on a machine, from this hub, and makes it a device."
    )


class Session(Given):
    """A browser that is signed in."""

    id: str
    browser: str = Field(description="What it calls itself, in short; empty where it does not say.")
    way: Literal["token", "password", "link", "oidc"] = Field(description="What it was signed in by.")
    token_id: str | None = Field(description="The token, if by one: the session ends with it.")
    created_at: datetime
    seen_at: datetime = Field(description="When it last asked for something, to 5 minutes.")
    expires_at: datetime


class Sessions(Given):
    """The browsers of the account, the one that was seen last first."""

    sessions: list[Session]


# ---- devices ---------------------------------------------------------------------------------------------------------


class DeviceModel(Given):
    """Boards of one name, system and set of attributes: a job asks for such a model, and any of its boards may run it."""

    name: str
    os: str
    attributes: list[str] = Field(description="Each `key:value`.")
    description: str
    owner: str = Field(description="The e-mail address of who answers for them.")
    boards: int = Field(description="How many boards are known.")
    busy: int = Field(description="How many of them hold a job now.")
    queued: int = Field(description="Jobs that wait for a board of this name and system, whichever attributes it has.")
    unfit: list[str] = Field(
        description="Why boards take no job for the time being, such as a full disk: one text for each that says so."
    )
    quarantined: list[str] = Field(description="Why boards are in quarantine: one text for each that is.")
    drifts: list[str] = Field(
        description="What slowly changed of boards over days: one text for each of which that is seen."
    )
    seen_at: datetime = Field(description="When one of the boards was last heard of.")


class DeviceModels(Given):
    """The device models that fit, newest system first."""

    devices: list[DeviceModel]


class Framework(Given):
    """What a board can run."""

    name: str
    version: str


class Frameworks(Given):
    """What the hub's boards can run, by name, the newest version first."""

    frameworks: list[Framework]


HealthState = Literal["good", "probation", "quarantined", "unfit"]


class BoardHealth(Given):
    """A board, whether it is free, and whether it is well: the latter is a state of its own."""

    id: str
    name: str
    os: str
    owner: str = Field(description="The e-mail address of who answers for it.")
    state: Literal["free", "busy", "away"]
    health: HealthState = Field(
        description="`quarantined` and `unfit` boards take no job; one on `probation` does, and is probed before each."
    )
    why: str = Field(description="Why it is not good; empty: it is.")
    health_by: str = Field(
        description="Who quarantined it by hand, by e-mail address; empty: its probes did, or it is not."
    )
    health_since: datetime | None = Field(
        description="Since when its health is what it is; null: it was never another."
    )
    probed_again: str = Field(description="Why it is probed once more before it takes a job; empty: it is not.")
    drift: str = Field(description="What slowly changed over days; empty: nothing.")


class BoardsHealth(Given):
    """A page of boards, by name and id; ``next`` is ``before`` of the page after it."""

    boards: list[BoardHealth]
    next: str | None = None


class HealthAsked(Asked):
    """A board is to be quarantined, or released from that."""

    quarantine: bool
    reason: Short = Field("", description="Why it is quarantined; shown with it.")
    relearn: bool = Field(
        False, description="Of one that is released: its band is learned anew, since the board is another now."
    )


class BandOf(Given):
    """Where a figure of this board usually is, learned from its own probes."""

    middle_ns: float
    upper_ns: float = Field(description="A probe that is slower is out of the band.")
    probes: int = Field(description="That it was learned from.")


class ProbeShown(Given):
    """What a probe showed; the figures of a span of time are medians."""

    at: datetime
    verdict: Literal["learning", "good", "slow", "disturbed"]
    figures: dict[str, float] = Field(description="ns, by name.")


class NewestProbe(ProbeShown):
    """The newest probe."""

    why: str = Field(description="What is out of the band, or why that cannot be told; empty: it is in it.")
    cores: int
    others_share: float | None = Field(
        description="Of the board's CPU time meanwhile that others used; null: nothing tells."
    )
    celsius: float | None = Field(description="The hottest zone just before; null: nothing tells.")


class Probes(Given):
    """A board's probes of the last 28 days."""

    newest: NewestProbe | None = Field(description="null: it was never probed.")
    bands: dict[str, BandOf] = Field(description="By figure; empty: too few probes to know.")
    course: list[ProbeShown] = Field(description="Medians of what was in the band, over at most 120 spans of time.")
    out_of_band: list[ProbeShown] = Field(description="At most 100, the newest.")


class Board(Given):
    """One physical device, which runs one job at a time."""

    id: str
    name: str
    os: str
    attributes: list[str]
    description: str
    frameworks: list[Framework]
    busy: bool = Field(description="Whether it holds a job now.")
    unfit: str | None = Field(description="Why it takes no job for the time being; null: it is well.")
    health: HealthState = Field(
        description="`quarantined` and `unfit` boards take no job; one on `probation` does, and is probed before each."
    )
    why: str = Field(description="Why it is not good; empty: it is.")
    health_by: str = Field(
        description="Who quarantined it by hand, by e-mail address; empty: its probes did, or it is not."
    )
    health_since: datetime | None = Field(
        description="Since when its health is what it is; null: it was never another."
    )
    drift: str = Field(description="What slowly changed over days; empty: nothing.")
    created_at: datetime
    seen_at: datetime = Field(description="When it was last heard of.")


class Pool(Given):
    """The devices of one name that one account answers for."""

    id: str
    name: str
    owner: str = Field(description="The e-mail address of who answers for its devices.")
    organisation: str | None = Field(description="The organisation whose projects' jobs may go to it.")
    is_open: bool = Field(description="Whether everybody with an account may send jobs to it.")
    is_own: bool = Field(description="Whether you may change it.")
    may_send: bool
    may_join: bool = Field(description="Whether your agents may bring devices into it: `dynolab agent --join OWNER`.")
    trusted: bool = Field(description="Whether its devices may receive your models.")
    senders: list[str] = Field(description="Who was let in to send jobs; empty where you may not change it.")
    joiners: list[str] = Field(description="Who was let in with devices, which see its jobs and their models.")


class Pools(Given):
    """Pools of devices, by name and owner."""

    pools: list[Pool]


class PoolChangeAsked(Asked):
    """Who may use a pool."""

    let_send: list[Short] = Field(default_factory=list, max_length=100, description="E-mail addresses.")
    let_join: list[Short] = Field(default_factory=list, max_length=100)
    remove: list[Short] = Field(default_factory=list, max_length=100, description="Who may do neither any more.")
    is_open: bool | None = None
    organisation: Short | None = Field(
        None,
        description="The organisation that it is given to, by id or name, if you manage it; empty: it is taken back.",
    )


class Trusted(Given):
    """Whose devices may receive one's models: those that one named, and the hub's administrators."""

    owners: list[str]


class TrustedAsked(Asked):
    """Somebody whose devices may receive one's models."""

    owner: Short = Field(description="An e-mail address.")


class Change(Asked):
    """What may be changed of a job, model or dataset."""

    name: Text


# ---- organisations ---------------------------------------------------------------------------------------------------

RoleWord = Literal["viewer", "member", "admin", "owner"]


class Member(Given):
    """A member of an organisation or project."""

    email: str
    name: str
    role: RoleWord
    added_at: datetime


class Usage(Given):
    """What a project, or your personal space, has, and what it may have (null: as much as comes)."""

    bytes: int = Field(description="Of models, datasets and what jobs left, with those on their way.")
    bytes_left_by_jobs: int = Field(description="Of them: profiles, logs and artifacts of jobs.")
    most_bytes: int | None
    jobs: int = Field(description="That wait or run.")
    most_jobs: int | None
    device_minutes: float = Field(description="For which jobs held devices this month (UTC).")
    most_device_minutes: int | None
    kept_days: int | None = Field(
        description="For how many days results and datasets are kept; null: until they are deleted."
    )


class RetentionAsked(Asked):
    """For how long results and datasets are to be kept."""

    kept_days: int | None = Field(description="1 to 3650; null: until they are deleted.")


class Project(Given):
    """A project, as you see it."""

    id: str
    name: str
    full_name: str = Field(description="`ORGANISATION.PROJECT`, which stands for it wherever a project is named.")
    organisation: str
    role: RoleWord | None = Field(description="Yours; null: you are no member, and run the hub.")
    created_at: datetime
    members: list[Member] = Field(description="Those of this project alone; the organisation's are members as well.")
    may_create: bool = Field(description="Whether you may upload and submit there.")


class Projects(Given):
    """The projects that you see, by name."""

    projects: list[Project]


class Organisation(Given):
    """An organisation, as you see it."""

    id: str
    name: str
    role: RoleWord | None = Field(
        description="Yours in all of it; null: you are a member of a project alone, or run the hub."
    )
    created_at: datetime
    members: list[Member]
    projects: list[Project]
    pools: list[str] = Field(description="The names of its pools of devices.")


class Organisations(Given):
    """The organisations that you see, by name."""

    organisations: list[Organisation]


class OrganisationAsked(Asked):
    """An organisation to be made."""

    name: Short = Field(description="Small letters, digits and hyphens, 40 at most.")
    owner: Short = Field(description="The e-mail address of the account that is its first owner.")


class ProjectAsked(Asked):
    """A project to be made."""

    name: Short = Field(description="Small letters, digits and hyphens, 40 at most.")


class MemberAsked(Asked):
    """What an account is to be."""

    role: RoleWord


class InviteAsked(Asked):
    """A link that makes whoever follows it a member."""

    role: Literal["viewer", "member", "admin"] = "member"


class Invite(Given):
    """A link that was just made."""

    url: str = Field(description="Good for one account, once, for a week. Shown this once.")


class OpenInvite(Given):
    """A link that nobody has followed yet."""

    id: str
    role: RoleWord
    made_by: str = Field(description="The address of who made it.")
    expires_at: datetime


class OpenInvites(Given):
    """Links that nobody has followed yet, those that end first before."""

    invites: list[OpenInvite]


class JobChange(Asked):
    """What may be changed of a job; what is left out stays."""

    name: Text | None = None
    is_pinned: bool | None = None


# ---- models and datasets ---------------------------------------------------------------------------------------------


class ModelAsked(Asked):
    """A model to be made known; its bytes come with an upload."""

    name: Text = Field("", description="At most 256 characters, no slash, no control character.")
    kind: Text = Field(
        description="Its format: `onnx`, `tflite`, `openvino_ir`, `torchscript`, `exported_program`, ..., or one that a device reads (`runs:RUNTIME/FORMAT`)."
    )
    is_directory: bool = Field(False, description="Whether the bytes are a ZIP file of a folder.")
    project_id: Short = ""


class DatasetAsked(Asked):
    """A dataset to be made known; its bytes, an HDF5 file as AI Hub's are, come with an upload."""

    name: Text = Field("", description="At most 256 characters, no slash, no control character.")
    permanent: bool = Field(False, description="Whether it is kept until it is deleted.")
    project_id: Short = ""


class Stored(Given):
    """What models and datasets have in common."""

    id: str
    name: str
    owner: str = Field(description="E-mail address.")
    project_id: str = Field(description=PROJECT_ID)
    project: str | None = Field(description=PROJECT)
    created_at: datetime
    has_bytes: bool = Field(description="Whether its upload is complete.")
    size_bytes: int | None = Field(description="Null until then.")


class Model(Stored):
    """A model."""

    kind: str
    is_directory: bool
    producer_id: str = Field(description="The job that made it, or empty.")


class Models(Given):
    """A page of models, newest first."""

    models: list[Model]
    next: str | None = Field(description="The next page's `before`; null: this was the last.")


class Dataset(Stored):
    """A dataset."""

    permanent: bool
    expires_at: datetime | None = Field(description="When it is deleted; null: it is permanent.")


class Datasets(Given):
    """A page of datasets, newest first."""

    datasets: list[Dataset]
    next: str | None = Field(description="The next page's `before`; null: this was the last.")


class UploadAsked(Asked):
    """An upload to begin."""

    size: int = Field(ge=0, description="The file's size in bytes.")


class Upload(Given):
    """An upload that was begun. Every part is PUT to its address, and answered with an `ETag`."""

    upload_id: str
    part_bytes: int = Field(description="The size of each part but the last.")
    urls: list[str] = Field(description="One for each part, in order; good for 24 hours, without a token.")


class UploadDone(Asked):
    """All parts have been sent."""

    etags: list[Short] = Field(default_factory=list, max_length=10_000, description="The parts' `ETag`s, in order.")


class Download(Given):
    """Where a file is to be had."""

    url: str = Field(description="Good for 24 hours, without a token.")
    name: str = Field(description="A file name without anything that a path could be made of.")
    bytes: int


class Sharing(Given):
    """With whom something is shared."""

    emails: list[str]


class SharingAsked(Asked):
    """A change of sharing. With a job go its model and its datasets, as far as they are its owner's."""

    add: list[Short] = Field(default_factory=list, max_length=100, description="E-mail addresses.")
    remove: list[Short] = Field(default_factory=list, max_length=100)


# ---- jobs ------------------------------------------------------------------------------------------------------------


class DeviceAsked(Asked):
    """The device that a job asks for: all of it must fit. Empty: any."""

    name: Short = ""
    os: Short = Field("", description="A version, or an interval such as `[14,15)`.")
    attributes: list[Short] = Field(default_factory=list, max_length=100)


class ComparisonAsked(Asked):
    """What a job's model is compared with: another model, or the same one with other options. The two take turns on one board."""

    model_id: Text = Field(description="The baseline, which is side A; the job's own model is B.")
    options: Text | None = Field(None, description="Of the baseline; null: the job's own.")
    floor: float = Field(DEFAULT_FLOOR, ge=0, lt=1, description="The share up to which two times count as alike.")
    limit: float | None = Field(
        None,
        ge=0,
        le=1000,
        description="A share: decide whether B is slower by more than that, rather than by the floor.",
    )
    budget_s: float = Field(
        DEFAULT_BUDGET_S, gt=0, le=BUDGET_MOST_S, description="Stop after this long, decided or not."
    )
    stages: list[Stage] = Field(["inference"], min_length=1, max_length=4, description="What is to be decided.")
    memory: bool = Field(True, description="Whether memory is compared as well.")


class InputSpecAsked(Asked):
    """An input of the compiled model."""

    name: Short
    shape: Shape
    dtype: Short = Field("float32", description="Its element type.")


class JobAsked(Asked):
    """A job."""

    kind: Kind = Field(
        "profile",
        description="`profile`: random inputs; `inference`: a dataset's; `compare`: the model takes turns with another; "
        "`compile`: a toolchain makes the model that the device takes; `quantize`: a model of integers, on no device; "
        "`link`: several models become one file.",
    )
    model_id: Text
    comparison: ComparisonAsked | None = Field(None, description="Needed by a job of the kind `compare`.")
    input_specs: list[InputSpecAsked] | None = Field(
        None,
        max_length=100,
        description="Of a job of the kind `compile`: inputs in their order; a PyTorch model's get their names from it.",
    )
    weights_dtype: Weights | None = Field(None, description="Of a job of the kind `quantize`: int8, if not given.")
    activations_dtype: Activations | None = Field(None, description="Likewise.")
    linked_ids: list[Text] = Field(
        default_factory=list, max_length=50, description="Of a job of the kind `link`: further models, in their order."
    )
    device: DeviceAsked = Field(default_factory=lambda: DeviceAsked.model_validate({}))
    name: Text = Field("", description="Empty: the model's.")
    options: Text = Field("", description="In AI Hub's grammar, such as `--max_profiler_iterations 100`.")
    measures: bool = Field(True, description="Whether an inference job also measures the stages.")
    dataset_id: Text | None = None
    project_id: Short = ""
    input_shapes: dict[Short, Shape] = Field(
        default_factory=dict,
        max_length=100,
        description='Of inputs whose dimensions the model leaves open, by name, such as `{"x": [1, 3, 48, 192]}`.',
    )
    requirements: list[Short] = Field(
        default_factory=list,
        max_length=50,
        description="Limits that the profile is held against, such as `estimated_inference_time <= 33 ms`.",
    )
    keeps_artifact: bool = Field(False, description="Whether what compile makes is left, too, as a zip file.")
    priority: int = Field(0, ge=-10, le=10, description="The higher goes first; within one, shares are fair.")
    deadline_s: float | None = Field(
        None,
        gt=0,
        le=30 * 24 * 3600,
        description="How long an attempt may run, queue time not counted, before the job fails as `WorkerTimeout`.",
    )
    waits_for: list[Short] = Field(
        default_factory=list,
        max_length=100,
        description="Jobs that must be done before this one is queued; when one fails or is cancelled, so does this one.",
    )


class Failure(Given):
    """Why a job or an attempt failed."""

    code: str
    message: str
    hint: str | None = None
    details: dict[str, JsonValue] = {}


class JobDevice(Given):
    """The device model that a job waits for or ran on."""

    name: str
    os: str
    attributes: list[str]


class Comparison(Given):
    """What a job's model is compared with."""

    model_id: str = Field(description="The baseline, which is side A; the job's own model is B.")
    model_name: str
    options: str
    floor: float
    limit: float | None
    budget_s: float
    stages: list[Stage]
    memory: bool


class InputSpec(Given):
    """An input of the compiled model."""

    name: str
    shape: list[int]
    dtype: str


class LinkedModel(Given):
    """A further model of a link job."""

    id: str
    name: str


class JobHead(Given):
    """A job, as lists show it."""

    id: str
    kind: str
    measures: bool
    name: str
    state: State
    owner: str = Field(description="E-mail address.")
    project_id: str = Field(description=PROJECT_ID)
    project: str | None = Field(description=PROJECT)
    model_id: str
    model_name: str
    dataset_id: str | None
    comparison: Comparison | None
    output_dataset_id: str | None = Field(description="What an inference job made.")
    target_model_id: str | None = Field(
        description="The model that a compile, quantize or link job makes; it has no bytes until the job is done."
    )
    target_model_name: str | None
    linked_models: list[LinkedModel] = Field(description="Of a link job: the models beside the first, in their order.")
    input_specs: list[InputSpec] | None = Field(description="Of a compile job, as they were asked for.")
    weights_dtype: str | None = Field(description="Of a quantize job.")
    activations_dtype: str | None
    device: JobDevice
    options: str
    input_shapes: dict[str, list[int]]
    requirements: list[str] = Field(
        description="Limits that the profile is held against; `summary` counts the outcomes."
    )
    is_pinned: bool = Field(description="Whether retention does not reach it.")
    cleared_at: datetime | None = Field(description="When retention took its results; null: it did not.")
    keeps_artifact: bool
    artifact_bytes: int | None = Field(description="The size of what compile made, zipped; null: it was not kept.")
    priority: int
    deadline_s: float | None = Field(description="How long an attempt may run; null: as long as it takes.")
    waits_for: list[str] = Field(description="The jobs that it waits or waited for; it is queued once all are done.")
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    cancel_asked_at: datetime | None
    attempts_made: int
    summary: dict[str, JsonValue] | None = Field(
        description="The headline figures, their units in their names, such as `estimated_inference_time_ns`."
    )
    failure: Failure | None


class Jobs(Given):
    """A page of jobs, newest first."""

    jobs: list[JobHead]
    next: str | None = Field(description="The next page's `before`; null: this was the last.")


class Attempt(Given):
    """One try of a job on one board."""

    number: int
    device_id: str
    state: Literal["running", "done", "failed", "lost", "cancelled"]
    progress: dict[str, JsonValue] | None = Field(description="What the agent said last, such as its `stage`.")
    failure: Failure | None
    has_log: bool
    started_at: datetime
    finished_at: datetime | None


class Job(JobHead):
    """A job with everything that is known of it."""

    attempts: list[Attempt]
    progress: dict[str, JsonValue] | None = Field(description="Of the attempt that runs now.")
    queue_position: int | None = Field(
        description="1: it is the next of its device model's queue; null: it is not in it, or waits for other jobs first."
    )
    estimated_start_s: int | None = Field(
        description="In about how many seconds it begins, told from the last attempts on the same boards; null: it waits no more, "
        "or `no_estimate` says why that cannot be told."
    )
    no_estimate: Literal["waits", "no-board", "unwell", "no-history", "overrun"] | None = Field(
        description="`waits`: for other jobs; `no-board`: no such board is there now; `unwell`: boards are there, and none takes "
        "jobs, see the field `unwell`; `no-history`: nothing was run on one yet; "
        "`overrun`: what runs now takes far longer than the last ones did."
    )
    unwell: list[str] = Field(description="Why none of the boards takes the job now: one text for each; else empty.")


def dump(value: Any) -> Any:
    """A progress or summary as the API gives it: an object or nothing."""
    return value if isinstance(value, dict) else None
