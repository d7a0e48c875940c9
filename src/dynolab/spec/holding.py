"""Who measures on a board: what is asked for, and what is answered. A board has one measurement at a time, or says of each who else was there."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from dynolab.errors import DeviceBusy, SpecInvalid
from dynolab.spec import codec, untrusted

TEXT_MOST = 200
"""Characters of what a holder says of itself."""


class HolderKind(StrEnum):
    """In which part somebody measures."""

    REACHED = "reached"
    """From another machine: it has the board for itself."""
    PERSON = "person"
    """On the board itself, at a person's command."""
    AGENT = "agent"
    """On the board itself, for a hub."""


BESIDE = {
    HolderKind.REACHED: (),
    HolderKind.PERSON: (HolderKind.PERSON, HolderKind.AGENT),
    HolderKind.AGENT: (HolderKind.AGENT,),
}
"""Beside whom each begins without waiting: a person is in nobody's way but of who reached the board, and agents go by persons."""


@dataclass(frozen=True, slots=True)
class Claim:
    """Somebody wants to measure on the board. ``by`` and ``what`` are told to whoever comes after."""

    by: str
    """Whom to ask, as in ``ada@laptop``."""
    what: str
    """What is done, as in ``profile of kws.tflite``."""
    kind: HolderKind
    beside: tuple[HolderKind, ...] = ()
    """Those who may be there already."""
    wait_s: float = 0.0
    """How long to wait for all others to end."""


@dataclass(frozen=True, slots=True)
class Holder:
    """Somebody who measures on the board now."""

    by: str
    what: str
    kind: HolderKind
    account: str
    """The board's own account that it runs as: told by the system, not by who claimed."""
    held_s: float
    """For how long, by the board's own clock of time passed."""

    def __str__(self) -> str:
        """As messages say it."""
        account = "" if self.by.partition("@")[0] == self.account else f", as {self.account}"
        return f"{self.by} for {length(self.held_s)} ({self.what}{account})"


@dataclass(frozen=True, slots=True)
class Held:
    """The answer: whether the board was given, and who else has it, or was in the way."""

    granted: bool
    others: tuple[Holder, ...] = ()
    trouble: str = ""
    """Why nothing is known of others; empty: it is."""

    @property
    def who(self) -> str:
        """The others, as messages say it."""
        return "; ".join(map(str, self.others))


def length(seconds: float) -> str:
    """A length of time in words of two parts at most, such as ``2 h 5 min``."""
    whole = int(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min" + (f" {whole % 60} s" if whole < 600 and whole % 60 else "")
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def holder_of(content: bytes, account: str, now_s: float) -> Holder:
    """What a holder wrote of itself, as far as that can be read, and whose process it is. It may be anything."""
    try:
        document = untrusted.load_document(content)
        held_s = max(0.0, now_s - float(document["since_s"]))
        claim = codec.decode(Claim, document["claim"], "a holder's claim")
    except (ValueError, KeyError, TypeError, SpecInvalid):
        return Holder(account, "it does not say what for", HolderKind.REACHED, account, 0.0)
    by, what = (untrusted.printable(text)[:TEXT_MOST].replace("\n", " ") for text in (claim.by, claim.what))
    return Holder(by or account, what, claim.kind, account, held_s)


def busy(address: str, others: tuple[Holder, ...]) -> DeviceBusy:
    """The error of a board that others have. ``address``: what it is called in messages."""
    return DeviceBusy(
        f"{address} is in use by {Held(False, others).who}",
        hint="wait for it: --wait 30m; it is free again when that has ended, or 5 minutes after its line broke for good",
        details={"holders": [codec.encode(one) for one in others]},
    )
