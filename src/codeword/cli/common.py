"""What the commands share: their common options, exit codes, reading of input, printing of results."""

from __future__ import annotations

import functools
import os
import sys
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Annotated, Any, NoReturn, ParamSpec, TypeVar

import typer

if TYPE_CHECKING:
    from numpy.typing import NDArray

P = ParamSpec("P")
R = TypeVar("R")

USER_ERROR, USAGE, DAMAGED, INTERRUPTED = 1, 2, 3, 130
EXIT_CODES = """Exit codes: 0 done; 1 an error, told as 'error: ...' on standard error; 2 wrong usage; 3 a file that is damaged or not what it should be; 130 stopped by Ctrl-C."""

Json = Annotated[bool, typer.Option("--json", help="Print JSON, and nothing else, on standard output.")]
Threads = Annotated[
    int | None,
    typer.Option("--threads", min=1, max=1024, metavar="N", help="Threads; results do not depend on it.", show_default="all CPUs"),
]
Seed = Annotated[int, typer.Option("--seed", min=0, metavar="N", help="Seed of everything that is drawn.")]
Output = Annotated[
    str, typer.Option("--output", "-o", metavar="FILE", help="File to write; an existing one is replaced.", show_default=False)
]
_INPUT = "Input"
Dtype = Annotated[
    str | None,
    typer.Option("--dtype", metavar="TYPE", help="Number type of a raw file, such as float32 or uint8.", rich_help_panel=_INPUT),
]
Dim = Annotated[int | None, typer.Option("--dim", metavar="N", help="Numbers in each row of a raw file.", rich_help_panel=_INPUT)]
Column = Annotated[
    list[str] | None,
    typer.Option(
        "--column",
        metavar="NAME",
        help="Column of a Parquet, Arrow or Feather file; repeat it for several.",
        rich_help_panel=_INPUT,
    ),
]
Array = Annotated[
    str | None, typer.Option("--array", metavar="NAME", help="Name of the array in an .npz file.", rich_help_panel=_INPUT)
]


def guarded(command: Callable[P, R]) -> Callable[P, R]:
    """Turn the errors a user can cause into a line on standard error and an exit code; bugs keep their traceback."""

    @functools.wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return command(*args, **kwargs)
        except KeyboardInterrupt:
            stop("interrupted", INTERRUPTED)
        except BrokenPipeError:  # the reader of our output has left, as `head` does
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise typer.Exit(USER_ERROR) from None
        except (ValueError, TypeError, OSError, ImportError, MemoryError) as e:
            if os.environ.get("CODEWORD_TRACEBACK"):
                raise
            from codeword.errors import FormatError

            stop(_message(e), DAMAGED if isinstance(e, FormatError) else USER_ERROR)

    return run


def stop(message: str, code: int = USER_ERROR) -> NoReturn:
    """Print ``error: message`` on standard error and exit."""
    typer.echo(f"error: {message}", err=True)
    raise typer.Exit(code)


def _message(error: BaseException) -> str:
    if isinstance(error, MemoryError):
        return f"out of memory ({error}); take fewer rows, or a format that is mapped (.npy, .fvecs)"
    if isinstance(error, OSError) and error.strerror and error.filename is not None:
        return f"{os.fsdecode(error.filename)}: {error.strerror}"
    return str(error) or repr(error)


def set_threads(threads: int | None) -> None:
    """Apply ``--threads``."""
    if threads is not None:
        from codeword import runtime

        runtime.set_threads(threads)


def read_rows(
    path: str, dtype: str | None = None, dim: int | None = None, column: list[str] | None = None, array: str | None = None
) -> NDArray[Any]:
    """Rows of a vector file, as the input options say."""
    from codeword import files

    return files.read(path, dtype=dtype, dim=dim, column=column or None, array=array)


def kind_of(path: str) -> str:
    """What is at a path: a folder is an index, a file says it."""
    from codeword import io

    if os.path.isdir(path):
        return "index"
    with io.open_container(path) as file:
        return file.kind


def load_quantizer(path: str) -> Any:
    """A fitted quantizer from a file, or an error that says what the file holds instead."""
    from codeword import io
    from codeword.base import Quantizer

    if kind_of(path) == "index":
        raise ValueError(f"{path}: expected a quantizer, it holds an index; codeword search searches it")
    made = io.load(path)
    if not isinstance(made, Quantizer):
        raise ValueError(f"{path}: expected a quantizer, it holds a {type(made).__name__}")
    return made


def print_json(data: Any) -> None:
    """Print strict JSON: NumPy numbers become plain ones, NaN and infinities null."""
    import json

    typer.echo(json.dumps(_plain(data), indent=2, allow_nan=False, ensure_ascii=False))


def _plain(x: Any) -> Any:
    import math

    if isinstance(x, dict):
        return {str(k): _plain(v) for k, v in x.items()}
    if isinstance(x, (list, tuple)):
        return [_plain(v) for v in x]
    if hasattr(x, "tolist"):
        return _plain(x.tolist())
    return None if isinstance(x, float) and not math.isfinite(x) else x


def print_pairs(title: str, pairs: Iterable[tuple[str, str]]) -> None:
    """Print a title and aligned names and values."""
    shown = list(pairs)
    width = max(len(name) for name, _ in shown)
    typer.echo(typer.style(title, bold=True))
    for name, value in shown:
        typer.echo(f"  {typer.style(name.ljust(width), dim=True)}  {value}")


def console() -> Any:
    """A Rich console on standard output, wide enough for tables where that is a file or a pipe."""
    from rich.console import Console

    out = Console(highlight=False)
    if not out.is_terminal and "COLUMNS" not in os.environ:
        out.width = 120
    return out
