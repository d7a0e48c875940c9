"""Forms that are refused are told so on the page that they stand on, with what was typed in them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from starlette.requests import Request

from dynolab.errors import UserError


@dataclass(frozen=True, slots=True)
class RefusedForm:
    """A form that was sent, by the last word of its address; ``error`` says why it was refused. None of both: no form was."""

    name: str = ""
    error: UserError | None = None
    fields: Mapping[str, str] = field(default_factory=dict)

    def why(self, name: str) -> UserError | None:
        """Why the form of this name was refused; None: it was not."""
        return self.error if name == self.name else None

    def typed(self, name: str, field: str, otherwise: object = "") -> object:
        """What was typed in a field of the form of this name; ``otherwise`` where it was not refused."""
        return self.fields.get(field, otherwise) if self.why(name) is not None else otherwise


NOTHING = RefusedForm()


def refused_form(request: Request) -> RefusedForm:
    """The form that this page is the answer to."""
    found: RefusedForm = getattr(request.state, "refused_form", NOTHING)
    return found


def page_path(request: Request) -> str:
    """The address of the page that is shown: of a refused form, the one that it stands on."""
    found: str = getattr(request.state, "page_path", request.url.path)
    return found


def tell_refused(request: Request, path: str, form: RefusedForm) -> None:
    """Have the page that is rendered next, which is the one at ``path``, tell of the form."""
    request.state.refused_form, request.state.page_path = form, path
