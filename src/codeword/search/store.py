"""Indexes in folders: files that are written once, and a manifest that says which of them are the index.

    manifest.cw  --names-->  model-*.cw, segment-*.cw, dead-*.cw (which rows of a segment are deleted), names-*.cw (ids that are strings)

Saving writes what is new under new names, syncs it, and then replaces the manifest in one step: whatever fails before leaves the old
index, and what is mapped is never changed. A lock is held meanwhile, and an index that someone else has saved since is not overwritten.
Files that no manifest names any more are removed after the next save; a reader that misses one reads the new manifest.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from codeword.errors import FormatError, UnknownQuantizerError
from codeword.io import Container, open_container, write
from codeword.io.replace import sync_directory
from codeword.search import learned, legacy
from codeword.search.files import FileColumns, locked
from codeword.search.model import Model
from codeword.search.names import Identity, Names
from codeword.search.segment import LARGEST_ID, Segment
from codeword.search.table import Snapshot, Table

if TYPE_CHECKING:
    from codeword.search.index import Index

MANIFEST = "manifest.cw"
KIND, MODEL_KIND, SEGMENT_KIND, DEAD_KIND, NAMES_KIND = (
    "index-manifest",
    "index-model",
    "index-segment",
    "index-dead",
    "index-names",
)
_OURS = re.compile(r"(model|segment|dead|names)-[0-9a-f]{16}\.cw|\.codeword-[0-9a-f]+\.tmp(\.old)?")
_FILE = re.compile(r"(model|segment|dead|names)-[0-9a-f]{16}\.cw")
_TRIES = 5
_UNSOUND = (ArithmeticError, AttributeError, LookupError, MemoryError, RecursionError, TypeError, ValueError)


@dataclass
class Stored:
    """What of an index is in a folder already: file names of the parts, by identity (the parts are kept alive with them)."""

    folder: str
    commit: str
    files: dict[int, tuple[Any, str]] = field(default_factory=dict)
    model: tuple[tuple[Any, ...], str] = ((), "")
    names: list[tuple[str, int]] = field(default_factory=list)


def save(index: Index, path: str | os.PathLike[str] | None) -> None:
    """See `Index.save`."""
    before: Stored | None = index._stored
    if path is None and before is None:
        raise ValueError("path: expected a folder, as the index was neither opened from one nor saved")
    folder = os.path.realpath(os.fsdecode(path)) if path is not None else before.folder if before is not None else ""
    _make(folder)
    with index._saving, locked(folder):
        before = index._stored
        known = before if before is not None and before.folder == folder else None
        if known is not None and _commit_of(folder) != known.commit:
            raise ValueError(f"{folder}: another writer has changed the index since it was opened or saved here; open it again")
        index._stored = _write(index, folder, known)
        _collect(folder)


def _write(index: Index, folder: str, known: Stored | None) -> Stored:
    with index._table.lock:  # one moment of everything
        snapshot, model, calibration, names = index._table.snapshot, index.model, index.calibration, index._identity.names
        coverage = None if model is None else model.coverage
    made = Stored(folder, os.urandom(8).hex())

    def put(part: Any, what: str, kind: str, header: dict[str, Any], arrays: Any) -> str:
        """The name of the file of a part, which is written unless it was."""
        old = None if known is None else known.files.get(id(part))
        name = old[1] if old is not None else f"{what}-{os.urandom(8).hex()}.cw"
        if old is None:
            write(os.path.join(folder, name), kind, header, arrays())
        made.files[id(part)] = (part, name)
        return name

    parts = (index.quantizer, model, coverage, calibration)
    if known is not None and all(a is b for a, b in zip(known.model[0], parts, strict=True)):
        made.model = known.model
    else:
        made.model = (parts, f"model-{os.urandom(8).hex()}.cw")
        header = learned.describe(index.quantizer, index.metric, index.wanted, model, calibration)
        write(os.path.join(folder, made.model[1]), MODEL_KIND, header, learned.arrays(index.quantizer, model, calibration))
    table = []
    for segment, dead in zip(snapshot.segments, snapshot.dead, strict=True):
        header = {"n": segment.n, "first": segment.first}
        entry = {
            **header,
            "file": put(segment, "segment", SEGMENT_KIND, header, lambda s=segment: {**s.columns, "bounds": s.bounds}),
        }
        if segment.distortion:
            entry["distortion"] = segment.distortion
        if dead is not None:
            entry["dead"] = put(dead, "dead", DEAD_KIND, {"n": segment.n}, lambda d=dead: {"dead": np.packbits(d)})
        table.append(entry)
    if names is not None:
        made.names = list(known.names) if known is not None else []
        written = sum(count for _, count in made.names)
        if len(names) > written:
            chunk = names.arrays(written)
            made.names.append((f"names-{os.urandom(8).hex()}.cw", len(chunk["ends"])))
            write(os.path.join(folder, made.names[-1][0]), NAMES_KIND, {"first": written}, chunk)
    manifest = {
        "commit": made.commit,
        "next_id": snapshot.next_id,
        "model": made.model[1],
        "segments": table,
        "names": None if names is None else [{"file": file, "n": count} for file, count in made.names],
    }
    write(os.path.join(folder, MANIFEST), KIND, manifest, {})
    return made


def open_index(path: str | os.PathLike[str], verify: str = "touch") -> Index:
    """Open an index that `Index.save` wrote; what it holds stays in its files, memory-mapped, which are never changed.

    Parameters
    ----------
    path : str or path-like
        The folder, or a file of an earlier version.
    verify : {"touch", "open", "off"}
        When codes are compared with their checksums: at the first search or change, now, or never.

    Returns
    -------
    Index

    Raises
    ------
    FormatError
        If the file is damaged or holds something else.

    Examples
    --------
    >>> import os, tempfile, numpy as np, codeword as cw
    >>> X = np.random.default_rng(0).normal(size=(500, 8)).astype("f4")
    >>> path = os.path.join(tempfile.mkdtemp(), "vectors")
    >>> cw.Index(cw.ScalarQuantizer(4).fit(X)).add(X).save(path)
    >>> len(cw.open_index(path))
    500
    """
    return open_path(path, verify)


def open_path(path: str | os.PathLike[str], verify: str) -> Index:
    """See `open_index`."""
    name = os.fsdecode(path)
    if not os.path.isdir(name):
        file = open_container(path, verify)
        if file.kind != legacy.KIND:
            hint = "; load it with codeword.load" if file.kind == "model" else ""
            raise FormatError(f"{file.path}: it holds kind {file.kind!r}, not an index{hint}")
        return _explained(file.path, lambda: legacy.open_file(file))
    for attempt in range(_TRIES):
        manifest = _container(name, MANIFEST, KIND, verify)
        try:
            return _explained(name, lambda m=manifest: _read(name, m, verify))
        except FileNotFoundError as e:
            if attempt == _TRIES - 1 or _commit_of(name) == manifest.header.get("commit"):
                raise FormatError(
                    f"{name}: {os.path.basename(str(e.filename))!r}, which is part of the index, is missing"
                ) from None
    raise AssertionError("not reached")


def verify_folder(path: str | os.PathLike[str]) -> list[Container]:
    """Read every file of an index and compare it with its checksums; returns them.

    Raises
    ------
    FormatError
        For the first damage that is found, or an id that two vectors have.
    """
    name = os.fsdecode(path)
    index = open_path(name, "open")
    snapshot = index._table.snapshot
    ids = np.sort(snapshot.ids())
    if (ids[1:] == ids[:-1]).any():
        raise FormatError(f"{name}: id {ids[1:][ids[1:] == ids[:-1]][0]} occurs twice")
    files = [open_container(os.path.join(name, MANIFEST), "open")]
    return files + [open_container(os.path.join(name, part), "open") for part in sorted(_named(files[0].header))]


def describe_folder(path: str | os.PathLike[str]) -> dict[str, Any]:
    """What is in the folder, as JSON: its files and their sizes."""
    name = os.fsdecode(path)
    manifest = _container(name, MANIFEST, KIND, "touch")
    files = [MANIFEST, *sorted(_named(manifest.header))]
    sizes = {part: os.path.getsize(os.path.join(name, part)) for part in files}
    version = manifest.describe()["format_version"]
    return {"path": name, "kind": "index", "format_version": version, "file_nbytes": sum(sizes.values()), "files": sizes}


def _read(folder: str, manifest: Container, verify: str) -> Index:
    from codeword.search.index import Index

    header = _checked(manifest)
    made = Stored(folder=os.path.realpath(folder), commit=header["commit"])
    file = _container(folder, header["model"], MODEL_KIND, verify)
    about, quantizer = learned.read_about(file), learned.read_quantizer(file)
    index = Index(quantizer, about["metric"])
    index.wanted = learned.read_wanted(about)
    index.model = learned.read_model(file, about, quantizer)
    index.calibration = learned.read_calibration(file, about, quantizer)
    if header["segments"] and index.model is None:
        raise FormatError("segments: expected none, as it is not decided what a row holds")
    coverage = None if index.model is None else index.model.coverage
    made.model = ((quantizer, index.model, coverage, index.calibration), header["model"])
    segments, dead = [], []
    for entry in header["segments"]:
        assert index.model is not None
        segment = _segment(folder, entry, index.model, header["next_id"], verify)
        mask = _mask(folder, entry, verify)
        segments.append(segment)
        dead.append(mask)
        made.files[id(segment)] = (segment, entry["file"])
        if mask is not None:
            made.files[id(mask)] = (mask, entry["dead"])
    index._table = Table(
        index.model.partition.lists if index.model else 1, Snapshot(tuple(segments), tuple(dead), header["next_id"])
    )
    if header["names"] is not None:
        names = Names()
        for entry in header["names"]:
            chunk = _container(folder, entry["file"], NAMES_KIND, verify)
            names.extend(chunk.array("text"), chunk.array("ends"))
            made.names.append((entry["file"], entry["n"]))
        if len(names) != sum(count for _, count in made.names) or len(names) < header["next_id"]:
            raise FormatError("names: expected one for every id")
        index._identity = Identity(names)
    index._stored = made
    return index


def _segment(folder: str, entry: Mapping[str, Any], model: Model, next_id: int, verify: str) -> Segment:
    file = _container(folder, entry["file"], SEGMENT_KIND, verify)
    n, first = entry["n"], entry["first"]
    if file.header != {"n": n, "first": first}:
        raise FormatError(f"{file.path}: its header differs from the manifest")
    columns = FileColumns(file, n, model.shapes(), next_id)
    if ("ids" in columns) == (first is not None) or (first is not None and not 0 <= first <= next_id - n):
        raise FormatError(f"{file.path}: expected ids or the first of a run, below the next one")
    bounds = np.array(file.array("bounds"))
    lists = model.partition.lists
    if bounds.dtype != np.int64 or bounds.shape != (lists + 1,) or bounds[0] or bounds[-1] != n or (np.diff(bounds) < 0).any():
        raise FormatError(f"{file.path}: array 'bounds': expected {lists + 1} numbers that rise from 0 to {n}")
    return Segment(n, columns, bounds, first, float(entry.get("distortion", 0.0)))


def _mask(folder: str, entry: Mapping[str, Any], verify: str) -> NDArray[np.bool_] | None:
    if entry.get("dead") is None:
        return None
    file = _container(folder, entry["dead"], DEAD_KIND, verify)
    packed, n = file.array("dead"), entry["n"]
    if file.header != {"n": n} or packed.dtype != np.uint8 or packed.shape != (-(-n // 8),):
        raise FormatError(f"{file.path}: expected a bit for each of {n} rows")
    return np.unpackbits(packed, count=n).astype(np.bool_)


def _checked(manifest: Container) -> Mapping[str, Any]:
    """The manifest's header, types and file names checked."""
    header = manifest.header

    def is_file(name: Any, what: str) -> bool:
        return isinstance(name, str) and _FILE.fullmatch(name) is not None and name.startswith(what)

    def is_size(n: Any) -> bool:
        return type(n) is int and 0 <= n <= LARGEST_ID + 1

    segments, names = header.get("segments"), header.get("names")
    listed = names if isinstance(names, list) else []
    sound = isinstance(header.get("commit"), str) and is_size(header.get("next_id")) and is_file(header.get("model"), "model")
    sound = sound and isinstance(segments, list) and (names is None or isinstance(names, list))
    for entry in segments if isinstance(segments, list) else []:
        sound = (
            sound
            and isinstance(entry, dict)
            and is_file(entry.get("file"), "segment")
            and is_size(entry.get("n"))
            and entry["n"] > 0
        )
        sound = sound and (entry.get("first") is None or is_size(entry["first"]))
        sound = sound and (entry.get("dead") is None or is_file(entry["dead"], "dead"))
        sound = sound and isinstance(entry.get("distortion", 0.0), (int, float)) and entry.get("distortion", 0.0) >= 0
    for entry in listed:
        sound = sound and isinstance(entry, dict) and is_file(entry.get("file"), "names") and is_size(entry.get("n"))
    if not sound:
        raise FormatError("the manifest does not describe an index")
    return header


def _container(folder: str, name: str, kind: str, verify: str) -> Container:
    try:
        file = open_container(os.path.join(folder, name), verify)
    except FileNotFoundError:
        if name == MANIFEST:
            raise FormatError(f"{folder}: it has no {MANIFEST}, so it is no index") from None
        raise
    if file.kind != kind:
        raise FormatError(f"{file.path}: expected kind {kind!r}, got {file.kind!r}")
    return file


def _explained(path: str, read: Any) -> Index:
    """What `read` gives; whatever does not fit together is a FormatError that names the path."""
    try:
        index: Index = read()
        return index
    except UnknownQuantizerError as e:
        raise UnknownQuantizerError(f"{path}: {e}") from None
    except FormatError as e:
        raise e if str(e).startswith(path) else FormatError(f"{path}: {e}") from e
    except _UNSOUND as e:
        raise FormatError(f"{path}: header and arrays do not fit together: {e!r}") from e


def _make(folder: str) -> None:
    """A folder to save in; one without a manifest is in its parent for certain before anything is acknowledged."""
    if os.path.isdir(folder):
        if os.path.exists(os.path.join(folder, MANIFEST)):
            return
        if any(_strange(folder)):
            raise ValueError(f"{folder}: expected an index, an empty folder or a new one; there are other files in it")
    elif os.path.exists(folder):
        raise ValueError(f"{folder}: expected a folder, it is a file; save the index under another name")
    else:
        os.mkdir(folder)
    if os.name != "nt":
        parent = os.open(os.path.dirname(folder), os.O_RDONLY)
        try:
            sync_directory(parent)
        finally:
            os.close(parent)


def _strange(folder: str) -> Iterator[str]:
    return (name for name in os.listdir(folder) if name != "lock" and not _OURS.fullmatch(name))


def _commit_of(folder: str) -> str | None:
    """The name of the last commit, or None where there is no sound one."""
    with suppress(FormatError, FileNotFoundError):  # a disk that fails to read is no other writer
        commit = open_container(os.path.join(folder, MANIFEST)).header.get("commit")
        return commit if isinstance(commit, str) else None
    return None


def _named(header: Mapping[str, Any]) -> set[str]:
    """Files that a manifest names."""
    segments = [entry[key] for entry in header["segments"] for key in ("file", "dead") if entry.get(key)]
    names = [entry["file"] for entry in header["names"] or ()]
    return {header["model"], *segments, *names}


def _collect(folder: str) -> None:
    """Remove files of ours that the manifest does not name: those of earlier commits, and of writers that were stopped."""
    with suppress(OSError, FormatError):  # the index is saved already
        kept = _named(open_container(os.path.join(folder, MANIFEST)).header)
        for name in os.listdir(folder):
            if _OURS.fullmatch(name) and name not in kept:
                os.unlink(os.path.join(folder, name))
