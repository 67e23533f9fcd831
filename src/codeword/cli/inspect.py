"""Commands that look without changing anything: info, verify."""

from __future__ import annotations

import os
from typing import Annotated, Any

import typer

from codeword import text
from codeword.cli.common import DAMAGED, Json, console, kind_of, print_json, print_pairs


def info(
    path: Annotated[str | None, typer.Argument(metavar="[FILE]", help="A saved model or index; none: this installation.")] = None,
    as_json: Json = False,
) -> None:
    """Say what is in a file, or what this installation can do.

    \b
    Examples:
      codeword info
      codeword info model.cw
      codeword info model.cw --json
    """
    if path is None:
        facts = installation()
        if as_json:
            print_json(facts)
            return
        words = {key: ", ".join(value) if isinstance(value, list) else str(value) for key, value in facts.items()}
        print_pairs(
            f"codeword {facts['version']}", [(key.replace("_", " "), value) for key, value in words.items() if key != "version"]
        )
        return
    kind = kind_of(path)
    made = _open(kind, path) if kind in ("model", "index") else None
    facts = _described(path, made)
    made = "" if made is None else repr(made)
    if as_json:
        print_json({**facts, "object": made or None})
        return
    _show_file(facts, made)


def _described(path: str, made: Any) -> dict[str, Any]:
    """What is in a file, or in the folder of an index, whose statistics come with it."""
    from codeword import io
    from codeword.search import store

    if os.path.isdir(path):
        return {**store.describe_folder(path), "stats": made.stats()}
    with io.open_container(path) as file:
        return file.describe()


def _open(kind: str, path: str) -> Any:
    """What the file holds, as an object."""
    import codeword as cw

    return cw.load(path) if kind == "model" else cw.open_index(path)


def installation() -> dict[str, Any]:
    """Versions, instruction sets, threads and what is registered here."""
    import platform

    import numpy as np

    from codeword import __version__, registry, runtime

    return {
        "version": __version__,
        "isa": runtime.isa(),
        "available_isas": runtime.available_isas(),
        "threads": runtime.threads(),
        "numpy": np.__version__,
        "python": platform.python_version(),
        "platform": f"{platform.system()} {platform.machine()}",
        "registered": registry.ids(),
    }


def _show_file(facts: dict[str, Any], made: str) -> None:
    from rich.table import Table

    pairs = [
        ("holds", made or facts["kind"]),
        ("size", f"{text.size(facts['file_nbytes'])}, format {facts['format_version']}"),
    ]
    print_pairs(facts["path"], pairs)
    if "stats" in facts:
        about = facts["stats"]
        more = [("files", f"{len(facts['files'])}, {text.plural(about['segments'], 'segment')} of vectors")]
        if about["deleted"]:
            more.append(("deleted", f"{text.count(about['deleted'])}; codeword index remove --vacuum gives their bytes back"))
        if about["lists"]:
            more.append(("lists", text.count(about["lists"]["count"])))
        print_pairs("index", more)
        return
    if not facts["arrays"]:
        return
    table = Table(box=None, padding=(0, 2), header_style="dim")
    for name in ("array", "type", "shape", "size"):
        table.add_column(name, justify="right" if name == "size" else "left")
    for a in facts["arrays"]:
        shape = " × ".join(map(str, a["shape"])) or "one number"
        table.add_row(a["name"], a["dtype"], shape, text.size(a["nbytes"]))
    console().print(table)


def verify(
    paths: Annotated[list[str], typer.Argument(metavar="FILE...", help="Saved models or indexes.")],
    as_json: Json = False,
) -> None:
    """Read whole files and compare every byte with its checksum. Exit code 3 if one is damaged.

    \b
    Examples:
      codeword verify model.cw
      codeword verify *.cw --json
    """
    from codeword.errors import FormatError

    results = []
    for path in paths:
        try:
            sound, message = True, f"sound, {_check(path)}"
        except FormatError as e:
            sound, message = False, str(e)
        results.append({"path": path, "sound": sound, "message": message})
        if not as_json:
            typer.echo(f"{path}: {message}" if sound else f"error: {message}", err=not sound)
    if as_json:
        print_json(results)
    if not all(r["sound"] for r in results):
        raise typer.Exit(DAMAGED)


def _check(path: str) -> str:
    """Check one file to the last byte; says what it holds."""
    from codeword import io
    from codeword.search import store

    if os.path.isdir(path):
        parts = store.verify_folder(path)
        return f"index of {text.plural(len(parts), 'file')}, {text.size(sum(p.describe()['file_nbytes'] for p in parts))}"
    with io.open_container(path) as file:
        file.verify()
        kind, n = file.kind, len(file.names)
    if kind in ("model", "index"):
        _open(kind, path)  # checksums cannot know whether the arrays make a quantizer
    return f"{kind} of {n} arrays, {text.size(os.path.getsize(path))}"
