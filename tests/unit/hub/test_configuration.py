"""Settings from the command line, the environment and a file: which goes first, and what is said of wrong ones."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from dynolab import errors
from dynolab.hub.configuration import described, load
from dynolab.hub.setting_types import Choice, Number, Switch, Texts, without_password
from dynolab.hub.settings import SETTINGS, Setting


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for one in SETTINGS:
        monkeypatch.delenv(one.variable, raising=False)
    monkeypatch.delenv("DYNOLAB_CONFIG", raising=False)


def written(folder: Path, text: str) -> Path:
    path = folder / "hub.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_the_command_line_goes_before_the_environment_and_that_before_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = written(tmp_path, '# a hub\n\nhost = "0.0.0.0"\nport = 1\nlease_s = 2\nagent = false\ndata = "kept"\n')
    monkeypatch.setenv("DYNOLAB_CONFIG", str(file))
    monkeypatch.setenv("DYNOLAB_PORT", "2")
    monkeypatch.setenv("DYNOLAB_LEASE_S", "3")
    found = load(port=3)
    assert (found.settings.host, found.settings.port, found.settings.lease_s) == ("0.0.0.0", 3, 3.0)
    assert not found.settings.agent
    assert found.settings.data == tmp_path / "kept", "what stands in a file is relative to it"
    assert {name: found.sources[name] for name in ("host", "port", "lease_s", "run_s")} == {
        "host": f"file ({file}, line 3)",
        "port": "command line (--port)",
        "lease_s": "environment (DYNOLAB_LEASE_S)",
        "run_s": "default",
    }


EVERY: dict[str, tuple[object, str]] = {
    "metrics_token": ("a-secret-in-a-file", "another-in-the-environment"),
    "port": (0, "65535"),
    "database_url": ("postgresql://u@h/d", "postgres://u@h/d"),
    "database_direct_url": ("postgresql://u@h/d", "postgres://u@h/d"),
    "public_url": ("https://hub.example", "http://hub.example/below"),
    "oidc_issuer": ("https://one.example", "https://two.example"),
    "transfers_endpoint": ("https://s3.example", "http://s3.example:9000"),
    "trusted_proxies": (["10.0.0.0/8"], "::1, 10.0.0.1"),
}
"""Two values, for a file and for the environment, where not every value of the kind will do."""


def samples(setting: Setting) -> tuple[object, str]:
    if setting.name in EVERY:
        return EVERY[setting.name]
    match setting.type:
        case Number(least=least):
            return int(least) + 7, str(int(least) + 9)
        case Switch():
            return False, "yes"
        case Choice(words=words):
            return words[0], words[-1]
        case Texts():
            return ["one"], "one,two"
    return "one", "two"


@pytest.mark.parametrize("setting", SETTINGS, ids=lambda one: one.name)
def test_every_setting_is_taken_from_file_and_environment(
    setting: Setting, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name, variable = setting.name, setting.variable
    in_file, in_environment = samples(setting)
    pair = {
        "database_direct_url": 'database_url = "postgresql://p/d"\n',
        "tls_certificate": 'tls_key = "k"\n',
        "tls_key": 'tls_certificate = "c"\n',
    }.get(name, "")
    file = written(tmp_path, f"{name} = {json.dumps(in_file)}\n{pair}")
    first = load(file)
    assert first.sources[name] == f"file ({file}, line 1)"
    monkeypatch.setenv(variable, in_environment)
    second = load(file)
    assert second.sources[name] == f"environment ({variable})"
    assert getattr(first.settings, name) != getattr(second.settings, name)


@pytest.mark.parametrize(
    ("text", "said", "way_out"),
    [
        ("\nlaese_s = 1\n", "line 2: there is no setting 'laese_s'", "did you mean lease_s"),
        ('DYNOLAB_PORT = "1"\n', "there is no setting 'DYNOLAB_PORT'", "did you mean port"),
        ("[database]\nurl = 1\n", "line 1: there is no setting 'database'", "dynolab hub config"),
        ('port = "8000"\n', "line 1: port = '8000': is no whole number", "a whole number of ports, 0 to 65535"),
        ("port = 70000\n", "port = 70000: is above what is taken", "0 to 65535"),
        ("port = true\n", "port = True: is no whole number", "0 to 65535"),
        ("host = 1\n", "host = 1: is no text: it needs quotes", "a text"),
        ("agent = 1\n", "agent = 1: is neither true nor false", "true or false"),
        ("lease_s = 0.5\n", "lease_s = 0.5: is below what is taken", "at least 1"),
        ("run_s = nan\n", "run_s = nan: is no number of seconds", "at least 1"),
        ("part_bytes = 5242879\n", "is below what is taken", "5242880 to"),
        ('trusted_proxies = "10.0.0.1"\n', "is no list of texts", "addresses and networks"),
        ('# many\ntrusted_proxies = [\n  "10.0.0.1",\n  "proxy",\n]\n', "line 2: trusted_proxies", "networks"),
        ('public_url = "hub"\n', "public_url = 'hub': is no address of a hub", "https://hub.example/"),
        ('database_url = "postgresql://h/d?sslmode=verify-full&sslrootcert=/n.pem"', "sslrootcert=/n.pem", "postgresql://"),
        ('database_direct_url = "postgresql://h/d"', "database_direct_url stands alone", "database_url names the pooler"),
        ('tls_key = ""\n', "is no path", "a path"),
        ('tls_key = "k"\n', "HTTPS needs a certificate and its key", "--tls-certificate"),
        ('port = 1\nport = 2\n', "is no TOML: Cannot overwrite a value (at line 2", "one setting a line"),
        ("port 1\n", "is no TOML", "at line 1"),
    ],
)  # fmt: skip
def test_what_is_wrong_in_a_file_is_named_with_its_line_and_the_way_out(
    text: str, said: str, way_out: str, tmp_path: Path
) -> None:
    with pytest.raises(errors.SpecInvalid) as told:
        load(written(tmp_path, text))
    assert said in told.value.message
    assert way_out in f"{told.value.message} {told.value.hint}"


def test_all_that_is_wrong_is_told_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = written(
        tmp_path, 'prot = 1\nlease_s = 0\nrun_s = 60\ntls_key = "k"\ndatabase_direct_url = "postgresql://h/d"\n'
    )
    monkeypatch.setenv("DYNOLAB_PART_BYTES", "many")
    monkeypatch.setenv("DYNOLAB_LEASES_S", "1")
    with pytest.raises(errors.SpecInvalid) as told:
        load(file, port=70_000)
    lines = told.value.message.splitlines()
    assert lines[0] == "7 settings do not fit:"
    for said in (
        f"{file}, line 1: there is no setting 'prot' (did you mean",
        "line 2: lease_s = 0: is below what is taken (a number of seconds",
        "DYNOLAB_PART_BYTES='many': is no whole number",
        "there is no setting DYNOLAB_LEASES_S (did you mean DYNOLAB_LEASE_S?)",
        "--port 70000: is above",
        "HTTPS needs a certificate and its key (--tls",
        "database_direct_url stands alone (",
    ):
        assert any(said in line for line in lines[1:]), (said, lines)


def test_one_of_a_pair_that_is_wrong_itself_does_not_make_the_other_wrong(tmp_path: Path) -> None:
    with pytest.raises(errors.SpecInvalid, match="tls_key") as told:
        load(written(tmp_path, 'tls_certificate = "c"\ntls_key = ""\n'))
    assert "\n" not in told.value.message


def test_a_hub_tells_all_that_keeps_it_from_starting(tmp_path: Path) -> None:
    text = (
        'tls_certificate = "none.pem"\ntls_key = "none.key"\ntransfers = "direct"\nlease_s = 0\n'
        'oidc_issuer = "https://login.example.org"\noidc_scopes = ["email"]\noidc_client_secret_file = "none"\n'
    )
    asked = [sys.executable, "-m", "dynolab.cli.main", "hub", "--data", str(tmp_path / "hub")]
    words = [*asked, "--config", str(written(tmp_path, text))]
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=120)
    assert (done.returncode, done.stdout) == (2, "")
    for said in (
        "6 settings do not fit", "lease_s = 0", "tls_certificate: ", "transfers = direct", "oidc_client_id is not",
        "does not hold openid", "oidc_client_secret_file: ",
    ):  # fmt: skip
        assert said in done.stderr, (said, done.stderr)
    assert not (tmp_path / "hub").exists(), "nothing was begun"


def test_a_wrong_address_does_not_tell_its_password(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wrong = "mysql://ana:open-sesame@db.example/hub"
    monkeypatch.setenv("DYNOLAB_DATABASE_URL", wrong)
    with pytest.raises(errors.SpecInvalid, match=r"mysql://ana:\*\*\*@db\.example/hub") as told:
        load()
    monkeypatch.delenv("DYNOLAB_DATABASE_URL")
    with pytest.raises(errors.SpecInvalid) as in_file:
        load(written(tmp_path, f'database_url = "{wrong}"\n'))
    assert "sesame" not in told.value.message + in_file.value.message


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://ana:secret@db/hub",
        "postgresql://:secret@db/hub",
        "postgresql://ana@db/hub?sslmode=require&password=secret",
        "postgresql://ana@db/hub?sslpassword=secret&port=1",
        "postgresql://ana:se:cret@db/hub",
        "postgresql://ana:p@secret@db/hub",
    ],
)
def test_passwords_in_addresses_are_not_shown(url: str) -> None:
    shown = without_password(url)
    assert "secret" not in shown
    assert "cret" not in shown
    assert "***" in shown
    assert shown.startswith("postgresql://")


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(errors.NotFound, match=r"none\.toml cannot be read: No such file"):
        load(tmp_path / "none.toml")
    with pytest.raises(errors.NotFound, match="cannot be read: Is a directory"):
        load(tmp_path)
    binary = tmp_path / "binary.toml"
    binary.write_bytes(b"\xff\xfe")
    with pytest.raises(errors.SpecInvalid, match="not UTF-8"):
        load(binary)
    binary.write_bytes(b"#" * (1 << 19))
    with pytest.raises(errors.SpecInvalid, match="no configuration file"):
        load(binary)


def test_the_command_prints_what_holds_and_where_it_came_from_without_secrets(tmp_path: Path) -> None:
    file = written(tmp_path, 'database_url = "postgresql://hub:open-sesame@db/hub"\nlease_s = 4\n')
    asked = [sys.executable, "-m", "dynolab.cli.main", "hub", "--config", str(file), "config"]
    environment = {**os.environ, "DYNOLAB_RUN_S": "60"}
    told = subprocess.run(asked, env=environment, capture_output=True, text=True, check=True).stdout
    assert "sesame" not in told
    rows = {line.split()[0]: " ".join(line.split()[1:]) for line in told.splitlines()}
    assert list(rows) == [one.name for one in SETTINGS]
    assert rows["database_url"] == f"postgresql://hub:***@db/hub file ({file}, line 1)"
    assert rows["run_s"] == "60 environment (DYNOLAB_RUN_S)"
    assert rows["port"] == "8000 default"
    as_json = json.loads(subprocess.run([*asked, "--json"], capture_output=True, text=True, check=True).stdout)
    assert {"name": "lease_s", "value": "4", "from": f"file ({file}, line 2)"} in as_json
    wrong = subprocess.run(
        [*asked[:-2], str(written(tmp_path, "prot = 1\n")), "config"], capture_output=True, text=True, check=False
    )
    assert (wrong.returncode, wrong.stdout) == (2, "")
    assert "line 1: there is no setting 'prot'" in wrong.stderr


def test_all_of_them_are_described(tmp_path: Path) -> None:
    found = list(described(load(data=tmp_path)))
    assert [one.name for one, _, _ in found] == [one.name for one in SETTINGS]
    assert all(one.text for one, _, _ in found)


@pytest.mark.parametrize("slip", ["DATABSE_URL", "HOSTS", "LEASES_S", "METRIC_TOKEN"])
def test_a_variable_that_is_a_slip_is_refused(slip: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(f"DYNOLAB_{slip}", "x")
    with pytest.raises(errors.SpecInvalid, match=f"no setting DYNOLAB_{slip}") as refused:
        load()
    assert "did you mean DYNOLAB_" in str(refused.value.hint)


def test_dynolabs_other_variables_are_no_slips(monkeypatch: pytest.MonkeyPatch) -> None:
    page = (Path(__file__).parents[3] / "docs" / "commands.md").read_text(encoding="utf-8")
    known = {one.variable for one in SETTINGS}
    others = set(re.findall(r"\bDYNOLAB_[A-Z_]+\b", page)) - known
    assert len(others) > 5
    for one in others:
        monkeypatch.setenv(one, "" if one == "DYNOLAB_CONFIG" else "x")
    load()
