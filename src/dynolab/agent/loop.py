"""Claim, carry out, finish, again: one job at a time, since one device is one slot."""

from __future__ import annotations

import json
import logging
import os
import secrets
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from contextvars import copy_context
from dataclasses import replace
from functools import partial
from pathlib import Path
from shlex import quote
from typing import Any

from dynolab import errors, logs, tracing
from dynolab.agent import reached
from dynolab.agent.cooling import Cooling
from dynolab.agent.health import Health
from dynolab.agent.http import HubDoor, Unreachable
from dynolab.agent.occupied import Occupied
from dynolab.agent.probing import Probing
from dynolab.agent.rotation import Rotation
from dynolab.agent.stages import Stages
from dynolab.connections.local import own_folder, sweep_folders
from dynolab.measure import deaths
from dynolab.sandbox.base import own_environment
from dynolab.spec import codec
from dynolab.spec.agents import (
    AGENT_PROTOCOL,
    BASELINE_FOLDER,
    COOL_FILE,
    LINKED,
    LIVE_LOG_BYTES,
    NOTES_FILE,
    Assignment,
    ClaimRequest,
    DeviceOffer,
    Outcome,
    Renewal,
)
from dynolab.spec.runtime_support import is_simulated

WAIT_S = 20.0
RENEWALS_PER_LEASE = 3
LOG_EVERY_S = 2.0
"""How often the hub is told of a log that grows."""
UNFIT_EVERY_S = 5.0
"""How often a board that is unfit looks whether it is fit again, and tells the hub."""
STOP_WITHIN_S = 10.0
FILES = {"result": "result.json", "output": "output", "artifact": "artifact.zip", "log": "log.txt"}
"""What an attempt's process leaves, by the address that it goes to."""
TOLD_BYTES = 4000
"""How much is told of an error that the hub did not take whole."""
NOT_TAKEN = (errors.TooLarge, errors.MediaTypeInvalid, errors.SpecInvalid, errors.NotFound, errors.StorageFull)
"""What the hub says of what it is sent, not of who sends it: the next job may do better."""
log = logging.getLogger(__name__)


class Agent:
    """Serves one device until it is told to stop."""

    def __init__(
        self, door: HubDoor, device: DeviceOffer, address: str = "", *, rotation: Rotation | None = None
    ) -> None:
        """``address`` leads to the device; empty: it is this machine. ``rotation``: of the token; None: it stays."""
        device = replace(device, instance=secrets.token_hex(8))
        self._door, self._device, self._address, self._rotation = door, device, address, rotation
        self._health = Health()
        self._occupied = Occupied(address)
        self._cooling = Cooling(read=lambda: None) if address else Cooling()
        take = partial(reached.ask_probe, address) if address else None
        self._probing = Probing(door, device, take=take, is_here=not address)
        self._stopped = threading.Event()
        self._asking = False
        self._unfit = ""

    def stop(self) -> None:
        """Take no further job; the one that runs is given up. Called by the main thread's signal handler."""
        self._stopped.set()
        self._door.give_up()
        self._occupied.close()
        if self._asking:
            raise SystemExit(0)  # out of the long question: the hub sees us hang up

    def serve(self) -> None:
        """Until :meth:`stop`. Raises what the hub refuses for good: a token, a protocol, a device of somebody else's."""
        known = False
        while not self._stopped.is_set():
            try:
                self._asking = True
                if self._rotation is not None:
                    self._rotation.keep()
                sweep_folders()  # between jobs, so that it disturbs none
                unfit = self._told_health() or self._probed()
                # The first question is not to wait: its answer says that the hub knows this device.
                wait_s = min(WAIT_S, self._probing.left_s()) if known and not unfit else 0.0
                assignment = self._door.claim(ClaimRequest(AGENT_PROTOCOL, self._device, wait_s, unfit))
                self._asking = False
            except (Unreachable, errors.DeviceLost):  # the door tells of it
                self._stopped.wait(1.0)
                continue
            if not known:
                known = True
                name = self._device.name
                kind = "inference" if is_simulated(self._device.attributes) else "profile"
                log.info(
                    "%s is now the device %s: dynolab submit %s MODEL --device %s",
                    self._address or "this machine",
                    name,
                    kind,
                    quote(name),
                )
            if assignment is not None:
                self._carry_out(assignment)
            elif unfit:
                self._stopped.wait(UNFIT_EVERY_S)

    def _told_health(self) -> str:
        """Why the board is unfit, or nothing; a change is logged."""
        unfit = self._health.unfit() or self._occupied.unfit() or self._cooling.unfit(self._probing.answer.cool_celsius)
        if unfit and not self._unfit:
            log.warning("this device is unfit, and takes no job until it is fit again: %s", unfit)
        if self._unfit and not unfit:
            log.info("this device is fit again")
        self._unfit = unfit
        return unfit

    def _probed(self) -> str:
        """Probe the board, if that is due; why it is unfit by that, or nothing."""
        try:
            self._probing.keep()
        except errors.DeviceBusy as error:
            self._occupied.found(error)
            return self._told_health()
        except errors.DeviceUnfit as error:
            self._health.ended(error)
            return self._told_health()
        return ""

    def _notes(self) -> dict[str, str]:
        """What is to be said of the board with what it measures now, by the code of the notice."""
        answer = self._probing.answer
        probation = f"the device was on probation: {answer.why}" if answer.state == "probation" else ""
        told = {"hot-start": self._cooling.begin(answer.cool_celsius), "on-probation": probation}
        return {code: text for code, text in told.items() if text}

    def _carry_out(self, assignment: Assignment) -> None:
        told = {"dynolab__job__id": assignment.job, "dynolab__attempt__id": assignment.attempt}
        with (
            logs.about(job_id=assignment.job, attempt_id=assignment.attempt),
            tracing.carrying(assignment.traceparent),
            tracing.span(
                f"attempt {assignment.kind}",
                "consumer",
                alone=False,
                dynolab__attempt__number=assignment.number,
                dynolab__device__id=self._device.id,
                **told,
            ),
        ):
            log.info("job %s, attempt %s", assignment.job, assignment.number)
            self._attempt(assignment)

    def _attempt(self, assignment: Assignment) -> None:
        notes = self._notes()
        try:
            with own_folder("job-") as folder:
                if notes:
                    (folder / NOTES_FILE).write_text(json.dumps(notes), encoding="utf-8")
                limit = self._probing.answer.cool_celsius
                if (
                    self._address and limit is not None
                ):  # only the board itself can tell: it is asked when the job begins
                    cool = {"cool_celsius": limit, "cool_within_s": self._cooling.within_s}
                    (folder / COOL_FILE).write_text(json.dumps(cool), encoding="utf-8")
                self._end(assignment, Attempt(self._door, assignment, folder, self._stopped, self._address).carry_out)
        except (OSError, errors.TransferFailed) as error:  # there is no folder to be had for it
            outcome = Outcome(error=_trouble(error).to_dict())
            self._end(assignment, lambda: outcome)

    def _end(self, assignment: Assignment, carry_out: Callable[[], Outcome]) -> None:
        """Carry the attempt out and tell the hub of its end, as far as that can be told."""
        try:
            outcome = carry_out()
            error = errors.from_dict(outcome.error) if outcome.error and not self._stopped.is_set() else None
            if isinstance(error, errors.DeviceBusy):
                self._occupied.found(error)
            else:
                self._health.ended(error)
            if isinstance(error, errors.DeviceError) and not isinstance(error, errors.DeviceBusy):
                self._probing.due_now()
            outcome = self._finish(assignment.attempt, outcome)
        except errors.Conflict as error:
            log.warning("job %s is not ours any more: %s", assignment.job, error)
            self._probing.due_now()  # it may be this device that was not to be heard
            return
        except (Unreachable, errors.DeviceLost) as error:  # stopped, or they would have been tried again
            log.warning("job %s is left to its lease: the hub cannot be reached (%s)", assignment.job, error)
            return
        except NOT_TAKEN as error:
            log.warning("job %s is left to its lease: the hub does not take its end (%s)", assignment.job, error)
            return
        log.info("job %s: %s", assignment.job, "failed" if outcome.error else "done")

    def _finish(self, attempt: str, outcome: Outcome) -> Outcome:
        """What the hub was told in the end: where it does not take the outcome, that, or the error in short."""
        try:
            self._door.finish(attempt, outcome)
        except NOT_TAKEN as refusal:
            error = _refused("what the attempt says of its end", refusal).to_dict()
            if outcome.error:
                error = {**outcome.error, "message": str(outcome.error.get("message"))[:TOLD_BYTES], "details": {}}
            outcome = Outcome(error=error)
            self._door.finish(attempt, outcome)
        return outcome


class Attempt:
    """One attempt: its files fetched, its process watched, its lease renewed meanwhile."""

    def __init__(
        self, door: HubDoor, assignment: Assignment, folder: Path, stopped: threading.Event, address: str = ""
    ) -> None:
        self._door, self._assignment, self._folder, self._stopped = door, assignment, folder, stopped
        self._address = address
        self._progress: dict[str, Any] | None = {"event": "stage", "stage": "fetch", "text": "fetching the model"}
        self._over = threading.Event()
        self._refused: errors.Error | None = None
        self._unfit: dict[str, object] | None = None
        self._cancelled = False

    def carry_out(self) -> Outcome:
        """The outcome, once the hub has the files. Raises :class:`~dynolab.errors.Conflict` when the job is another's by now."""
        renewing = threading.Thread(target=copy_context().run, args=(self._renew,), daemon=True)
        renewing.start()
        try:
            outcome = self._measure()
            with tracing.span("leave", alone=False):
                outcome = self._leave(outcome)
        except OSError as error:  # of this machine's files
            outcome = Outcome(error=_trouble(error).to_dict())
        finally:
            self._over.set()
            renewing.join()
        if self._refused is not None:
            raise self._refused
        return outcome

    def _measure(self) -> Outcome:
        try:
            with tracing.span("fetch", alone=False):
                self._fetch()
        except (errors.TransferFailed, errors.UserError) as error:
            return Outcome(error=error.to_dict())
        with tracing.span("run", alone=False):
            return self._run()

    def _fetch(self) -> None:
        """Raises what the hub, or what it sends, is refused with."""
        if not self._assignment.linked:
            self._door.fetch(self._assignment.attempt, "model", self._assignment.model, self._folder)
        if self._assignment.baseline is not None:
            own = self._folder / BASELINE_FOLDER  # the two may be of one name
            own.mkdir(mode=0o700)
            self._door.fetch(self._assignment.attempt, "baseline", self._assignment.baseline.model, own)
        for number, one in enumerate(self._assignment.linked):
            own = self._folder / f"{LINKED}{number}"
            own.mkdir(mode=0o700)
            self._door.fetch(self._assignment.attempt, own.name, one.model, own)
        if self._assignment.dataset is not None:
            self._door.fetch(self._assignment.attempt, "dataset", self._assignment.dataset, self._folder)

    def _leave(self, outcome: Outcome) -> Outcome:
        """Send what the process left. The outcome is an error where the hub does not take what was asked for."""
        for verb in ("result", "output"):
            path = self._folder / FILES[verb]
            if outcome.error is None and path.exists():
                try:
                    self._door.store(self._assignment.attempt, verb, path)
                except NOT_TAKEN as error:
                    refused = _refused(f"the {verb} of {path.stat().st_size} bytes", error)
                    log.warning("job %s: %s", self._assignment.job, refused)
                    outcome = Outcome(error=refused.to_dict())
        if outcome.error is None:
            self._leave_artifact()
        self._leave_log()
        return outcome

    def _leave_artifact(self) -> None:
        """Send what compile made; where the hub does not take it, the log says so: what was measured is no worse for that."""
        path = self._folder / FILES["artifact"]
        if not path.exists():
            return
        try:
            self._door.store(self._assignment.attempt, "artifact", path)
        except NOT_TAKEN as error:
            refused = _refused(f"the compiled artifact of {path.stat().st_size} bytes", error)
            log.warning("job %s: %s", self._assignment.job, refused)
            with (self._folder / FILES["log"]).open("a", encoding="utf-8") as told:
                told.write(f"{refused}\n")

    def _leave_log(self) -> None:
        """Send the log, or its end where the hub does not take all of it: what was measured is no worse for that."""
        path, attempt = self._folder / FILES["log"], self._assignment.attempt
        if not path.exists():
            return
        try:
            self._door.store(attempt, "log", path)
        except NOT_TAKEN as error:
            refused = _refused(f"the log of {path.stat().st_size} bytes", error)
            log.warning("job %s: %s", self._assignment.job, refused)
            end = self._folder / "end-of-log.txt"
            end.write_text(f"{refused}; its end is:\n{self._log_end()}", encoding="utf-8")
            with suppress(*NOT_TAKEN):
                self._door.store(attempt, "log", end)

    def _renew(self) -> None:
        """Say that we are still at it, until it is over, the hub refuses, or the job is cancelled; sooner when the log grew."""
        pause_s = self._assignment.lease_s / RENEWALS_PER_LEASE
        told, due, plain = 0, time.monotonic(), False
        while not self._over.is_set():
            size = told if plain else self._log_bytes()
            if size > told or time.monotonic() >= due:
                due = time.monotonic() + pause_s
                try:
                    news = Renewal() if plain else Renewal(self._progress, self._log_end() if size > told else None)
                    answer = self._door.renew(self._assignment.attempt, news)
                    self._cancelled, told = answer.cancel, size
                except (errors.Conflict, errors.Unauthorized, errors.Forbidden) as error:
                    self._refused = error
                except (Unreachable, errors.DeviceLost):
                    pass  # the door tells of it, and the lease may last until the next try
                except OSError as error:
                    log.warning("the lease could not be renewed: %s", error)
                except errors.Error as error:
                    log.warning("the hub does not take the attempt's news: %s", error)
                    if not plain:
                        plain, due = True, time.monotonic()  # say no more than that we are at it, and that at once
            if self._refused is not None or self._cancelled:
                return
            self._over.wait(min(pause_s, LOG_EVERY_S, max(0.0, due - time.monotonic())))

    def _log_bytes(self) -> int:
        path = self._folder / FILES["log"]
        return path.stat().st_size if path.exists() else 0

    def _log_end(self) -> str:
        """The end of the log so far, in whole lines."""
        with (self._folder / FILES["log"]).open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - LIVE_LOG_BYTES))
            content = file.read(LIVE_LOG_BYTES)
        if size > LIVE_LOG_BYTES:
            content = content.partition(b"\n")[2] or content
        return content.decode("utf-8", "replace")

    def _run(self) -> Outcome:
        """The process of the attempt, with its events as progress, ended early when there is reason to."""
        (self._folder / "assignment.json").write_text(json.dumps(codec.encode(self._assignment)), encoding="utf-8")
        command = [sys.executable, "-m", "dynolab.agent.attempt", str(self._folder), str(os.getpid()), self._address]
        scratch = self._folder / "tmp"
        scratch.mkdir()
        with (self._folder / "stderr.txt").open("wb") as stderr:
            process = subprocess.Popen(
                command,
                env={
                    **own_environment(*(reached.SSH_ENVIRONMENT if self._address else ())),
                    "TMPDIR": str(scratch),
                },  # what it leaves when it is killed goes with the folder
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=stderr,
            )
            listening = threading.Thread(target=copy_context().run, args=(self._listen, process), daemon=True)
            listening.start()
            try:
                while process.poll() is None:
                    if self._stopped.is_set() or self._cancelled or self._refused is not None:
                        return self._end(process)
                    self._over.wait(0.05)
            finally:
                _kill(process)
                listening.join()
        path = self._folder / "outcome.json"
        if not path.exists():
            return Outcome(error=self._unfit or self._vanished(process.returncode).to_dict())
        return codec.decode(Outcome, json.loads(path.read_text(encoding="utf-8")), "the attempt's outcome")

    def _vanished(self, code: int) -> errors.Error:
        """The error of an attempt whose process left no outcome."""
        log_text = (self._folder / "stderr.txt").read_text(encoding="utf-8", errors="replace")[-4000:]
        bug = errors.Bug(f"the attempt's process ended with code {code}", details={"log": log_text})
        return deaths.from_outside(code, "the attempt's process", log=log_text) or bug

    def _listen(self, process: subprocess.Popen[bytes]) -> None:
        if process.stdout is None:
            return
        stages = Stages()
        with process.stdout as lines:
            for line in lines:
                event = json.loads(line)
                if event.get("event") == "unfit":
                    self._unfit = event["error"]
                else:
                    self._progress = event
                    stages.follow(event)
        stages.end()

    def _end(self, process: subprocess.Popen[bytes]) -> Outcome:
        """End the process, its workers with it, in good order where it heeds the signal."""
        process.terminate()
        try:
            process.wait(STOP_WITHIN_S)
        except subprocess.TimeoutExpired:
            log.warning("the attempt's process did not heed the signal; it is killed")
        reason = (
            errors.Conflict("the job was cancelled") if self._cancelled else errors.DeviceLost("the agent was stopped")
        )
        return Outcome(error=reason.to_dict())


def _refused(what: str, error: errors.Error) -> errors.Error:
    """The error of a hub that did not take something, which says what."""
    return type(error)(f"the hub did not take {what}: {error.message}", hint=error.hint)


def _trouble(error: Exception) -> errors.Error:
    """The error of an attempt that this machine's files failed: the device's, not the job's."""
    known = errors.unfit(error)
    return known or errors.DeviceUnfit(f"the device is unfit: its files cannot be used ({error})")


def _kill(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.kill()
    process.wait()
