"""What is looked at before a hub starts: its address and its certificate."""

from __future__ import annotations

from pathlib import Path

import pytest

from dynolab.errors import Conflict, SpecInvalid
from dynolab.hub.listening import check_certificate, listen


def test_an_address_that_another_has_is_refused() -> None:
    with listen("127.0.0.1", 0) as held:
        held.listen()
        with pytest.raises(Conflict, match="already in use") as refused:
            listen("127.0.0.1", held.getsockname()[1])
    assert "another program" in refused.value.hint


def test_an_address_that_this_machine_does_not_have_is_refused_as_that() -> None:
    with pytest.raises(Conflict, match=r"192\.0\.2\.1:0 cannot be listened at") as refused:  # RFC 5737: nobody's
        listen("192.0.2.1", 0)
    assert "no such address" in refused.value.hint


def test_a_certificate_that_is_not_there_is_named(tmp_path: Path) -> None:
    key = tmp_path / "hub.key"
    key.write_text("key", encoding="utf-8")
    with pytest.raises(SpecInvalid, match=r"tls_certificate: .*hub\.pem cannot be read: No such file"):
        check_certificate(tmp_path / "hub.pem", key)
    with pytest.raises(SpecInvalid, match=r"tls_key: .* cannot be read: Is a directory"):
        check_certificate(key, tmp_path)
