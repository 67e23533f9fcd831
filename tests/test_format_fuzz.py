"""Damaged and hostile containers: every one ends in FormatError, or gives exactly what the sound file gives.

Damage keeps the old checksums. Hostile files have their checksums computed anew, so only the parser's own checks stand
between them and the caller; a hostile file that is accepted must be a sound container by every rule of docs/format.md.
"""

from __future__ import annotations

import json
import random
import struct
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import codeword as cw
from codeword import io
from codeword.io import layout

MIB = 1 << 20
DAMAGED, HOSTILE = 2000, 2000
Result = tuple[str, dict[str, Any], list[tuple[str, str, tuple[int, ...], bytes]]]


def crc(data: bytes, start: int = 0) -> int:
    return layout.crc32c(np.frombuffer(data, np.uint8), start)


def seal(text: bytes, data: bytes, *, version: tuple[int, int] = (1, 0), gap: bytes | None = None) -> bytes:
    """A container around any header `text` and any `data`, with the checksums that belong to them."""
    gap = bytes(layout.align(32 + len(text)) - 32 - len(text)) if gap is None else gap
    table = b"".join(struct.pack("<I", crc(data[i : i + MIB])) for i in range(0, len(data), MIB))
    size = 32 + len(text) + len(gap) + len(data) + len(table) + 4
    prefix = struct.pack("<8sHHIQI", layout.MAGIC, *version, len(text), size, crc(text + gap))
    prefix += struct.pack("<I", crc(prefix))
    return prefix + text + gap + data + table + struct.pack("<I", crc(table, crc(prefix[:28])))


def unseal(raw: bytes) -> tuple[bytes, bytes]:
    """Header text and data of a sound container."""
    text_nbytes = int.from_bytes(raw[12:16], "little")
    start = layout.align(32 + text_nbytes)
    blocks = -(-(len(raw) - start - 4) // (MIB + 4))
    return raw[32 : 32 + text_nbytes], raw[start : len(raw) - 4 - 4 * blocks]


def results(path: Path, how: str) -> Result:
    """All that a program can get from a file, checked at open, at first use, or by `verify`."""
    with io.open_container(path, verify="open" if how == "open" else "touch" if how == "touch" else "off") as file:
        if how == "verify":
            file.verify()
        arrays = [(name, file.array(name)) for name in file.names]
        return file.kind, file.header, [(name, a.dtype.str, a.shape, a.tobytes()) for name, a in arrays]


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> list[bytes]:
    """Small containers of every kind of content, and one of three blocks."""
    rng = np.random.default_rng(7)
    contents: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
        ("empty", {}, {}),
        ("model", {"config": {"id": "vector", "d": 4, "params": {"k": 8, "seed": 0}}}, {"codebook": rng.normal(size=(8, 4))}),
        (
            "many",
            {"é": [1, -2.5, None, True, {"deep": [[[["x"]]]]}]},
            {
                "flags": np.array([True, False, True]),
                "none": np.zeros((0, 3), "f4"),
                "one": np.int64(-5),
                "part.0.words": rng.integers(0, 255, (40, 8), "u1"),
                "part.1.words": rng.normal(size=(3, 2, 2)).astype("f4"),
            },
        ),
        ("index", {"n": 3}, {"codes": rng.integers(0, 255, 2 * MIB + 5, "u1"), "ids": np.arange(5)}),
    ]
    folder = tmp_path_factory.mktemp("sound")
    for i, content in enumerate(contents):
        io.write(folder / f"{i}.cw", *content)
    return [(folder / f"{i}.cw").read_bytes() for i in range(len(contents))]


# Damage: one function a kind, from the bytes of a file to others.


def place(rng: random.Random, raw: bytes) -> int:
    """A position; one in two lies in the front or the tables, which are few of a large file's bytes."""
    return rng.choice([rng.randrange(len(raw)), rng.randrange(min(600, len(raw))), len(raw) - 1 - rng.randrange(min(40, len(raw)))])


def flip_a_bit(rng: random.Random, raw: bytes, other: bytes) -> bytes:
    i = place(rng, raw)
    return raw[:i] + bytes([raw[i] ^ 1 << rng.randrange(8)]) + raw[i + 1 :]


def overwrite(rng: random.Random, raw: bytes, other: bytes) -> bytes:
    i, n = place(rng, raw), rng.choice([1, 2, 4, 8, 64, 4096])
    filling = rng.choice([bytes(n), b"\xff" * n, rng.randbytes(n)])
    return raw[:i] + filling[: len(raw) - i] + raw[i + n :]


def truncate(rng: random.Random, raw: bytes, other: bytes) -> bytes:
    return raw[: rng.choice([place(rng, raw), len(raw) - rng.randrange(1, 70)])]


def extend(rng: random.Random, raw: bytes, other: bytes) -> bytes:
    n = rng.choice([1, 4, 64, MIB])
    return raw + rng.choice([bytes(n), raw[-n:], other])


def swap_blocks(rng: random.Random, raw: bytes, other: bytes) -> bytes:
    size = rng.choice([4, 64, 512, MIB])
    i, j = sorted(rng.randrange(max(1, len(raw) // size)) * size for _ in range(2))
    return raw[:i] + raw[j : j + size] + raw[i + size : j] + raw[i : i + size] + raw[j + size :] if i + size <= j else raw


def insert_or_delete(rng: random.Random, raw: bytes, other: bytes) -> bytes:
    i, n = place(rng, raw), rng.choice([1, 4, 64])
    return raw[:i] + rng.choice([raw[i + n :], raw[i : i + n] + raw[i:]])


def splice(rng: random.Random, raw: bytes, other: bytes) -> bytes:
    """The front of one file with the end of another, cut where both have a part that starts."""
    i, j = (layout.align(32 + int.from_bytes(r[12:16], "little")) for r in (raw, other))
    return rng.choice([raw[:i] + other[j:], raw[:32] + other[32:], other[: len(raw)] + raw[len(other) :]])


def reseal_prefix(rng: random.Random, raw: bytes, other: bytes) -> bytes:
    """Damage in the prefix or the header behind right checksums of both, but not of the tail."""
    stop = layout.align(32 + int.from_bytes(raw[12:16], "little"))
    bad = bytearray(flip_a_bit(rng, raw[:stop], other) + raw[stop:])
    bad[24:28] = struct.pack("<I", crc(bytes(bad[32:stop])))
    bad[28:32] = struct.pack("<I", crc(bytes(bad[:28])))
    return bytes(bad)


DAMAGES = [flip_a_bit, overwrite, truncate, extend, swap_blocks, insert_or_delete, splice, reseal_prefix]


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__)
def test_damage_ends_in_format_error_or_changes_nothing(damage: Callable[..., bytes], sound: list[bytes], tmp_path: Path) -> None:
    rng = random.Random(damage.__name__)
    path = tmp_path / "a.cw"
    expected = []
    for raw in sound:
        path.write_bytes(raw)
        expected.append(results(path, "open"))
    noticed = 0
    for _ in range(DAMAGED // len(DAMAGES)):
        which = rng.randrange(len(sound))
        bad = damage(rng, sound[which], rng.choice(sound))
        path.unlink()  # a file that may be mapped is never changed in place
        path.write_bytes(bad)
        for how in ("open", "touch", "verify"):
            try:
                assert results(path, how) == expected[which]
                assert bad == sound[which], "every byte counts"
            except cw.FormatError as e:
                assert str(path) in str(e)
                noticed += 1
    assert noticed > DAMAGED // len(DAMAGES)


def test_every_single_bit_of_a_file_is_covered(sound: list[bytes], tmp_path: Path) -> None:
    path = tmp_path / "a.cw"
    raw = sound[1]
    for bit in range(8 * len(raw)):
        bad = bytearray(raw)
        bad[bit // 8] ^= 1 << bit % 8
        path.unlink(missing_ok=True)
        path.write_bytes(bad)
        for how in ("open", "touch"):
            with pytest.raises(cw.FormatError):
                results(path, how)


# Hostile files: the header is rewritten, the checksums are right.

NUMBERS = [-1, 0, 1, 63, 64, 2**31, 2**32 - 1, 2**45, 2**63 - 1, 2**63, 2**64 - 1, 2**64, 10**400, True, 1.0, 1e300]
STRINGS = ["", "codebook", "<f4", "|b1", "|O", "<U4", "<c16", ">f4", "f4", "<f16", "|V8", "../x", "a" * 300, "a\0", "\ud800"]
OTHERS: list[Any] = [None, [], {}, [[]], {"": 0}, [1] * 40, [0, 2**62], [2**32, 2**32], [2**63, 0], "x", 1.5, False]


def rewrite(rng: random.Random, value: Any, depth: int = 0) -> Any:
    """A copy of a JSON value with one part, somewhere, made hostile."""
    if isinstance(value, dict) and value and (depth == 0 or rng.random() < 0.8):
        key = rng.choice(sorted(value) + 2 * [key for key in value if key == "arrays"])
        changed = {**value, key: rewrite(rng, value[key], depth + 1)}
        action = rng.random()
        if action < 0.05:
            del changed[key]
        elif action < 0.1:
            changed[rng.choice(STRINGS)] = rng.choice(OTHERS)
        return changed
    if isinstance(value, list) and value and rng.random() < 0.8:
        i = rng.randrange(len(value))
        action = rng.random()
        if action < 0.6:
            return [*value[:i], rewrite(rng, value[i], depth + 1), *value[i + 1 :]]
        return rng.choice([value[:i] + value[i + 1 :], [*value, value[i]], value[::-1], [*value, *value], OTHERS[3]])
    if isinstance(value, int) and rng.random() < 0.5:
        return value + rng.choice([-64, -1, 1, 64, value, 2**32, 2**64])
    return rng.choice([NUMBERS, STRINGS, OTHERS])[rng.randrange(12)]


def hostile(rng: random.Random, raw: bytes) -> bytes:
    text, data = unseal(raw)
    how = rng.random()
    if how < 0.6:
        root = json.loads(text)
        for _ in range(rng.choice([1, 1, 2])):
            root = rewrite(rng, root) if isinstance(root, dict) else root
        text = json.dumps(root, separators=(",", ":")).encode()
    elif how < 0.8:  # bytes of the JSON
        text = flip_a_bit(rng, text, b"") if rng.random() < 0.5 else overwrite(rng, text, b"")
    elif how < 0.9:
        data = rng.choice([data[:-64], data + bytes(64), data[:64], b"", rng.randbytes(len(data)), data + bytes(3)])
    version = rng.choice([(1, 0)] * 40 + [(1, 1), (1, 65535), (0, 0), (2, 0)])
    return seal(text, data, version=version, gap=rng.choice([None] * 40 + [bytes(64), b"x", b""]))


def assert_sound(path: Path) -> None:
    """An accepted container keeps every promise: names, extents inside the data, and bytes that can be written again."""
    with io.open_container(path, verify="open") as file:
        assert list(file.names) == sorted(set(file.names))
        arrays = {name: file.array(name) for name in file.names}
        for told, array in zip(file.describe()["arrays"], arrays.values(), strict=True):
            assert (told["nbytes"], told["shape"]) == (array.nbytes, list(array.shape))
            array.tobytes()  # reads every byte
        io.write(path.with_suffix(".again"), file.kind, file.header, arrays)
        with io.open_container(path.with_suffix(".again"), verify="open") as again:
            assert (again.kind, again.header, again.names) == (file.kind, file.header, file.names)


def test_hostile_headers_with_right_checksums_end_in_format_error_or_are_sound(sound: list[bytes], tmp_path: Path) -> None:
    rng = random.Random(11)
    path = tmp_path / "a.cw"
    accepted = 0
    for _ in range(HOSTILE):
        path.unlink(missing_ok=True)
        path.write_bytes(hostile(rng, sound[rng.randrange(3)]))
        try:
            assert_sound(path)
            accepted += 1
        except cw.FormatError as e:
            assert len(str(e)) < 1000
    assert 0 < accepted < HOSTILE // 2


ENTRY = {"dtype": "<f4", "name": "a", "nbytes": 16, "offset": 0, "shape": [4]}
SECOND = {**ENTRY, "name": "b", "offset": 64}


def table(*entries: Any) -> str:
    return json.dumps({"arrays": entries, "header": {}, "kind": "k"})


def one(**changes: Any) -> str:
    return table({**ENTRY, **changes})


HEADERS = {
    "not JSON": "{",
    "not an object": "[]",
    "two values": '{"arrays":[],"header":{},"kind":"k"} {}',
    "byte order mark": "\ufeff" + table(ENTRY),
    "no arrays": '{"header":{},"kind":"k"}',
    "unknown key": '{"arrays":[],"header":{},"kind":"k","more":0}',
    "repeated key": '{"arrays":[],"header":{},"kind":"k","kind":"l"}',
    "repeated key inside": '{"arrays":[],"header":{"a":{"b":1,"b":1}},"kind":"k"}',
    "repeated escaped key": '{"arrays":[],"header":{"a":1,"\\u0061":1},"kind":"k"}',
    "NaN": '{"arrays":[],"header":{"a":NaN},"kind":"k"}',
    "Infinity": '{"arrays":[],"header":{"a":[-Infinity]},"kind":"k"}',
    "too large for float64": '{"arrays":[],"header":{"a":1e999},"kind":"k"}',
    "too large for 64 bits": '{"arrays":[],"header":{"a":18446744073709551616},"kind":"k"}',
    "a million digits": '{"arrays":[],"header":{"a":' + "9" * 10**6 + '},"kind":"k"}',
    "lone surrogate": '{"arrays":[],"header":{"a":"\\ud800"},"kind":"k"}',
    "deeper than allowed": '{"arrays":[],"header":{"a":' + "[" * 63 + "]" * 63 + '},"kind":"k"}',
    "deep lists": '{"arrays":' + "[" * 10**6,
    "deep objects": '{"a":' * 10**5 + "1" + "}" * 10**5,
    "header is a list": '{"arrays":[],"header":[],"kind":"k"}',
    "kind is a number": '{"arrays":[],"header":{},"kind":1}',
    "kind is a path": '{"arrays":[],"header":{},"kind":"../k"}',
    "arrays is an object": '{"arrays":{},"header":{},"kind":"k"}',
    "entry is a list": table([1, 2]),
    "entry lacks a key": table({k: v for k, v in ENTRY.items() if k != "nbytes"}),
    "entry has one more": one(more=1),
    "name is a number": one(name=1),
    "name is empty": one(name=""),
    "name is a path": one(name="/etc/passwd"),
    "name ends with a line break": one(name="a\n"),
    "name too long": one(name="a" * 256),
    "repeated name": table(ENTRY, {**SECOND, "name": "a"}),
    "names out of order": table({**ENTRY, "name": "b"}, {**SECOND, "name": "a"}),
    "dtype object": one(dtype="|O", shape=[2]),
    "dtype big-endian": one(dtype=">f4"),
    "dtype without order": one(dtype="f4"),
    "dtype string": one(dtype="<U1"),
    "dtype void": one(dtype="|V4"),
    "dtype complex": one(dtype="<c8", shape=[2]),
    "dtype long double": one(dtype="<f16", shape=[1]),
    "dtype structured": one(dtype=[["x", "<f4"]]),
    "dtype a list": one(dtype=["<f4"]),
    "dtype with a comma": one(dtype="<f4,<f4", shape=[2]),
    "shape a number": one(shape=4),
    "shape with true": one(shape=[4, True]),
    "shape with float": one(shape=[4.0]),
    "shape negative": one(shape=[-4]),
    "shape negative twice": one(shape=[-2, -2]),
    "shape of 33": one(shape=[1] * 32 + [4]),
    "shape with overflow to 16 bytes": one(shape=[2**62 + 4]),
    "shape with overflow of a product": one(shape=[2**32, 2**32, 4]),
    "shape larger than the file": one(shape=[2**40], nbytes=2**42),
    "shape with zero and overflow": one(shape=[0, 2**62, 2**62], nbytes=0),
    "nbytes too few": one(nbytes=12),
    "nbytes negative": one(nbytes=-16),
    "nbytes float": one(nbytes=16.0),
    "nbytes true": table({**ENTRY, "dtype": "|u1", "nbytes": True, "shape": [1]}),
    "offset float": one(offset=0.0),
    "offset false": one(offset=False),
    "offset negative": one(offset=-64),
    "offset outside": one(offset=2**40),
    "offset odd": one(offset=1),
    "overlap": table(ENTRY, {**SECOND, "offset": 0}),
    "hole": table(ENTRY, {**SECOND, "offset": 128}),
    "second outside": table(ENTRY, {**SECOND, "shape": [64], "nbytes": 256}),
}


@pytest.mark.parametrize("name", HEADERS)
def test_hostile_header_is_refused_in_little_memory(name: str, tmp_path: Path) -> None:
    arrays = HEADERS[name].count('"dtype"')
    text = HEADERS[name].encode()
    (tmp_path / "a.cw").write_bytes(seal(text, bytes(64 * max(arrays, 1))))
    tracemalloc.start()
    with pytest.raises(cw.FormatError, match=r"a\.cw: ") as caught:
        io.open_container(tmp_path / "a.cw")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4 * MIB + 20 * len(text)
    assert len(str(caught.value)) < 1000


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"major": 2}, "format version 2.0, and this release reads versions up to 1.x: a newer release of codeword is needed"),
        ({"major": 0}, "format version 0.0 does not exist"),
        ({"json_nbytes": 0}, "the header claims 0 bytes"),
        ({"json_nbytes": 2**32 - 1}, "the header claims 4294967295 bytes"),
        ({"json_nbytes": 1 << 20}, "the header claims 1048576 bytes"),
        ({"file_nbytes": 0}, "bytes follow the end of the container at 0"),
        ({"file_nbytes": 2**64 - 1}, "truncated: 520 of 18446744073709551615 bytes are there"),
        ({"header_crc": 1}, "the header does not match its checksum"),
    ],
)
def test_hostile_prefix_is_refused_with_a_clear_sentence(
    changes: dict[str, int], message: str, sound: list[bytes], tmp_path: Path
) -> None:
    raw = sound[1]
    keys = ("magic", "major", "minor", "json_nbytes", "file_nbytes", "header_crc")
    prefix = struct.pack("<8sHHIQI", *{**dict(zip(keys, struct.unpack_from("<8sHHIQI", raw), strict=True)), **changes}.values())
    (tmp_path / "a.cw").write_bytes(prefix + struct.pack("<I", crc(prefix)) + raw[32:])
    with pytest.raises(cw.FormatError, match=message):
        io.open_container(tmp_path / "a.cw")


def test_newer_minor_version_may_say_more(tmp_path: Path) -> None:
    text = json.dumps({"arrays": [{**ENTRY, "unit": "m"}], "header": {}, "kind": "k", "author": "x"}).encode()
    path = tmp_path / "a.cw"
    path.write_bytes(seal(text, bytes(64), version=(1, 1)))
    with io.open_container(path) as file:
        assert (file.names, file.describe()["format_version"]) == (("a",), "1.1")
    path.unlink()
    path.write_bytes(seal(text, bytes(64), version=(1, 0)))
    with pytest.raises(cw.FormatError, match="expected an object with kind, header, arrays"):
        io.open_container(path)


@pytest.mark.parametrize("how", ["touch", "verify"])
@pytest.mark.parametrize(("position", "message"), [(2, "bool that is neither 0 nor 1"), (9, "bytes that are not zero")])
def test_what_checksums_cannot_know_is_checked_too(how: str, position: int, message: str, tmp_path: Path) -> None:
    data = bytearray(64)
    data[position] = 2
    (tmp_path / "a.cw").write_bytes(seal(one(dtype="|b1", shape=[8], nbytes=8).encode(), bytes(data)))
    with pytest.raises(cw.FormatError, match=message):
        results(tmp_path / "a.cw", how)


def test_sparse_file_that_claims_terabytes_costs_nothing(tmp_path: Path) -> None:
    data_nbytes = 2**42
    text = one(shape=[2**40], nbytes=data_nbytes).encode()
    start = layout.align(32 + len(text))
    front = seal(text, b"")[:start]
    size = start + data_nbytes + 4 * data_nbytes // MIB + 4
    prefix = front[:16] + struct.pack("<Q", size) + front[24:28]
    with open(tmp_path / "a.cw", "wb") as file:
        file.write(prefix + struct.pack("<I", crc(prefix)) + front[32:])
        try:
            file.truncate(size)
        except OSError:
            pytest.skip("the file system has no sparse files of this size")
    tracemalloc.start()
    with pytest.raises(cw.FormatError, match="the table of block checksums does not match its checksum"):
        io.open_container(tmp_path / "a.cw")
    assert tracemalloc.get_traced_memory()[1] < MIB
    tracemalloc.stop()
