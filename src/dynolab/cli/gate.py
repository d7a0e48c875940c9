"""``dynolab gate``: does a model cost more than a baseline, plus what is allowed?"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from dynolab.cli import _device


@click.command("gate")
@click.argument("model", type=click.Path(path_type=Path))
@click.option(
    "--baseline",
    required=True,
    type=click.Path(path_type=Path),
    metavar="MODEL|PROFILE",
    help="What it is held against: a model file, and both take turns; or a saved profile.json.",
)
@click.option("--max-slower", metavar="PERCENT", help="How much slower each stage may be, such as 10%.")
@click.option(
    "--max-memory", metavar="PERCENT", help="How much larger the peak of the whole process may be, such as 10%."
)
@click.option("--stage", "stages", multiple=True, help="Whose time is held; may be repeated. Default: inference.")
@click.option(
    "--on-unknown", type=click.Choice(["pass", "fail"]), help="What a gate that cannot tell exits with; default: 3."
)
@click.option("--budget", type=float, metavar="SECONDS", help="Two models: stop after this long; default: 60.")
@click.option("--force", is_flag=True, help="Compare with a baseline that is not like for like, and say so.")
@_device.option("The device on which it is decided: models run there")
@click.option("--wait", metavar="30m", help="Wait at most so long until nobody else measures there.")
@click.option("--runtime", help="Runtime; default: the baseline's.")
@click.option("--options", help="Options in AI Hub's grammar; default: the baseline's.")
@click.option("--input-shape", "shapes", multiple=True, metavar="NAME=1,3,224,224", help="Shape of one input.")
@click.option("--input-range", "ranges", multiple=True, metavar="NAME=LOW,HIGH", help="Range of random values.")
@click.option("--input-file", "files", multiple=True, metavar="NAME=FILE.npy", help="Values of one input.")
@click.option("--repeats", type=int, help="A saved profile: fresh processes for each load and memory pass; default: 3.")
@click.option("--timeout", type=float, metavar="SECONDS", help="End everything after this long, with an error.")
@click.option("--memory-limit", metavar="SIZE", help="Bound of a worker's memory, such as 512MB.")
@click.option("--require-sandbox", is_flag=True, help="Refuse where nothing confines the models.")
@click.option("--markdown", type=click.Path(path_type=Path), metavar="FILE", help="Write a comment for a pull request.")
@click.option("--junit", type=click.Path(path_type=Path), metavar="FILE", help="Write JUnit XML.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(model: Path, markdown: Path | None, junit: Path | None, as_json: bool, **asked: Any) -> int:
    """Decide whether MODEL costs more than a baseline, plus what is allowed. A missing number never passes.

    \b
    dynolab gate new.onnx --baseline main.onnx --max-slower 10% --max-memory 10%
    dynolab gate new.onnx --baseline main/profile.json --max-slower 10% --stage inference --stage first_load
    dynolab gate new.onnx --baseline main.onnx --max-slower 10% --device ssh://pi@board
    \b
    Exit status: 0 within the limits, 1 beyond, 3 cannot tell (--on-unknown makes it 0 or 1), 2 an error.
    Annotations are printed where GITHUB_ACTIONS is set.
    """  # noqa: D301 - click wants the backspace character itself
    import json
    import os

    from dynolab.cli import _gate, _output
    from dynolab.report import _gate as shown
    from dynolab.spec import codec
    from dynolab.spec.gate import EXIT_CODES, Outcome

    found = _gate.run(model, asked)
    passes = None if asked["on_unknown"] is None else asked["on_unknown"] == "pass"
    if as_json:
        click.echo(json.dumps({"outcome": found.outcome.value, **codec.encode(found)}, indent=1))
    else:
        _print(found)
    if os.environ.get("GITHUB_ACTIONS"):
        for told in shown.workflow_commands(found, passes):
            click.echo(told, err=as_json)
    if markdown is not None:
        _output.write_file(markdown, shown.markdown(found))
    if junit is not None:
        _output.write_file(junit, shown.junit(found, passes))
    if found.outcome is Outcome.CANNOT_TELL and passes is not None:
        return int(not passes)
    return EXIT_CODES[found.outcome]


def _print(found: Any) -> None:
    from rich.console import Console

    from dynolab.report import _gate as shown

    Console(highlight=False).print(shown.text(found))
