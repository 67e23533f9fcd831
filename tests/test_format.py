"""The container against its normative text: a reader written from docs/format.md only, golden files, round trips.

`python tests/test_format.py` adds golden files that are missing; existing ones are never written again.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

GOLDEN = Path(__file__).parent / "golden" / "format"
FORMAT_MD = Path(__file__).parent.parent / "docs" / "format.md"

# --- The reader of docs/format.md: plain Python and NumPy, nothing of codeword. --------------------------------------


def plain_shift(register: int) -> int:
    for _ in range(8):
        register = register >> 1 ^ (0x82F63B78 if register & 1 else 0)
    return register


PLAIN_TABLE = [plain_shift(byte) for byte in range(256)]


def plain_crc32c(data: bytes, start: int = 0) -> int:
    register = start ^ 0xFFFFFFFF
    for byte in data:
        register = register >> 8 ^ PLAIN_TABLE[(register ^ byte) & 255]
    return register ^ 0xFFFFFFFF


def plain_align(x: int) -> int:
    return (x + 63) // 64 * 64


def plain_unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    assert len({key for key, _ in pairs}) == len(pairs), "repeated key"
    return dict(pairs)


def plain_depth(value: Any) -> int:
    inside = list(value.values()) if isinstance(value, dict) else value if isinstance(value, list) else None
    return 0 if inside is None else 1 + max(map(plain_depth, inside), default=0)


def plain_read(raw: bytes) -> tuple[str, dict[str, Any], dict[str, np.ndarray]]:
    """Kind, header and arrays of the file `raw`, or an AssertionError; a block is checked only with `plain_crc32c`."""
    signature, major, minor, json_nbytes, file_nbytes, header_crc, prefix_crc = struct.unpack_from("<8sHHIQII", raw)
    assert signature == b"\x89CWF\r\n\x1a\n", "signature"
    assert major == 1, "version"
    assert plain_crc32c(raw[:28]) == prefix_crc, "prefix checksum"
    assert file_nbytes == len(raw), "size"
    data_offset = plain_align(32 + json_nbytes)
    assert 1 <= json_nbytes <= 2**24, "size of the JSON"
    assert plain_crc32c(raw[32:data_offset]) == header_crc, "header checksum"
    assert not any(raw[32 + json_nbytes : data_offset]), "gap after the JSON"
    root = json.loads(raw[32 : 32 + json_nbytes].decode(), object_pairs_hook=plain_unique, parse_constant=int)
    assert plain_depth(root) <= 64, "depth"
    if minor == 0:
        assert sorted(root) == ["arrays", "header", "kind"], "keys"

    arrays, offset, last = {}, 0, ""
    for entry in root["arrays"]:
        name, dtype, shape = entry["name"], entry["dtype"], entry["shape"]
        assert re.fullmatch(r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*", name), "name"
        assert len(name) <= 255, "name"
        assert last < name, "order"
        assert dtype in ["|b1", "|i1", "|u1", "<i2", "<i4", "<i8", "<u2", "<u4", "<u8", "<f2", "<f4", "<f8"], "dtype"
        assert len(shape) <= 32, "dimensions"
        assert all(type(n) is int and n >= 0 for n in shape), "shape"
        assert math.prod(max(n, 1) for n in shape) * int(dtype[2]) <= 2**44, "size of an array"
        nbytes = math.prod(shape) * int(dtype[2])
        assert (entry["offset"], entry["nbytes"]) == (offset, nbytes), "offset"
        stored = raw[data_offset + offset : data_offset + offset + nbytes]
        assert dtype != "|b1" or max(stored, default=0) <= 1, "bool"
        arrays[name] = np.frombuffer(stored, dtype).reshape(shape)
        assert not any(raw[data_offset + offset + nbytes : data_offset + plain_align(offset + nbytes)]), "gap"
        offset, last = plain_align(offset + nbytes), name

    table = data_offset + offset
    blocks = -(-offset // 2**20)
    assert len(raw) == table + 4 * blocks + 4, "size of the parts"
    assert plain_crc32c(raw[table:-4], prefix_crc) == struct.unpack("<I", raw[-4:])[0], "tail"
    for block in range(blocks):
        piece = raw[data_offset + block * 2**20 : min(data_offset + (block + 1) * 2**20, table)]
        assert plain_crc32c(piece) == struct.unpack_from("<I", raw, table + 4 * block)[0], f"block {block}"
    return root["kind"], root["header"], arrays


# --- Everything below tests codeword against it. ---------------------------------------------------------------------

from codeword import io  # noqa: E402

Content = tuple[str, dict[str, Any], dict[str, Any]]


def contents() -> dict[str, Content]:
    """What the golden files hold, by file name."""
    dtypes = ["?", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8"]
    ladder = np.array([0, 1, 2, 100], "u1")
    header = {
        "text": 'é "quoted" \\ \n\t\u0001 \U0001f600',
        "numbers": [0, -1, 2**64 - 1, -(2**63), 0.1, -0.0, 1e300, 5e-324, 1e16, 1e-7],
        "nested": {"b": [], "a": {}, "none": None, "yes": True, "no": False, "": [[[]]]},
    }
    return {
        "1.0-empty.cw": ("empty", {}, {}),
        "1.0-header.cw": ("header.only", header, {}),
        "1.0-dtypes.cw": ("dtypes", {}, {f"d{t.strip('?') or 'bool'}": ladder.astype(t) for t in dtypes}),
        "1.0-shapes.cw": (
            "shapes",
            {"shapes": "many"},
            {
                "scalar": np.float64(-2.5),
                "no-rows": np.zeros((0, 7), "f4"),
                "no-columns": np.zeros((7, 0), "u2"),
                "part.0.cube": np.arange(24, dtype="i4").reshape(2, 3, 4),
                "part.1.ones": np.ones((1,) * 32, "u1"),
                "special": np.array([np.nan, np.inf, -np.inf, -0.0, 1e-45], "f4"),
            },
        ),
    }


def same(a: Any, b: Any) -> bool:
    """Equal in dtype (byte order aside), shape and every bit."""
    a, b = np.asarray(a), np.asarray(b)
    little = a.dtype.newbyteorder("<"), b.dtype.newbyteorder("<")
    return little[0] == little[1] and a.shape == b.shape and a.astype(little[0]).tobytes() == b.astype(little[1]).tobytes()


def assert_holds(path: Path, content: Content) -> None:
    """Both readers find `content` in the file."""
    kind, header, arrays = content
    read_kind, read_header, read_arrays = plain_read(path.read_bytes())
    assert (read_kind, read_header) == (kind, header)
    assert read_arrays.keys() == arrays.keys()
    with io.open_container(path) as file:
        assert (file.kind, file.header, file.names) == (kind, header, tuple(sorted(arrays)))
        for name, expected in arrays.items():
            assert same(file.array(name), expected), name
            assert same(read_arrays[name], expected), name
        file.verify()


@pytest.mark.parametrize("name", contents())
def test_golden_files_load_for_ever(name: str) -> None:
    assert_holds(GOLDEN / name, contents()[name])


@pytest.mark.parametrize("path", sorted(GOLDEN.glob("1.*.cw")), ids=lambda path: path.name)
def test_golden_files_are_written_again_byte_for_byte(path: Path, tmp_path: Path) -> None:
    with io.open_container(path) as file:
        io.write(tmp_path / "again.cw", file.kind, file.header, {name: file.array(name) for name in file.names})
    assert (tmp_path / "again.cw").read_bytes() == path.read_bytes()


def test_bytes_of_several_blocks_never_change(tmp_path: Path) -> None:
    words = np.arange(700_001, dtype="u4") * np.uint32(2654435761)
    io.write(tmp_path / "a.cw", "blocks", {"n": len(words)}, {"words": words, "tail": words[:5].astype("f8")})
    digest = hashlib.sha256((tmp_path / "a.cw").read_bytes()).hexdigest()
    assert digest == "0f17766282d936a8f67dfc0e4f01dbad80d23e78f5c1920126c90a826097aac1"


def test_example_of_the_document_is_what_its_code_writes(tmp_path: Path) -> None:
    text = FORMAT_MD.read_text(encoding="utf-8")
    (code,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True)
    made = (tmp_path / "example.cw").read_bytes()
    (dump,) = re.findall(r"```text\n(00000000.*?)```", text, re.DOTALL)
    shown, repeat = b"", False
    for line in dump.splitlines():
        repeat = repeat or line == "*"
        if line == "*":
            continue
        offset, row = int(line[:8], 16), bytes.fromhex(line[8:59])
        shown, repeat = shown + shown[-16:] * ((offset - len(shown)) // 16 if repeat else 0), False
        assert offset == len(shown)
        shown += row
    assert shown == made
    assert plain_read(made)[0] == "example"


names = st.from_regex(r"[A-Za-z0-9_-]{1,8}(\.[A-Za-z0-9_-]{1,8}){0,2}", fullmatch=True)
shapes = hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=5)
scalars = hnp.boolean_dtypes() | hnp.integer_dtypes(endianness="?") | hnp.floating_dtypes(endianness="?", sizes=(16, 32, 64))
layouts = {
    "as it is": lambda a: a,
    "Fortran": np.asfortranarray,
    "reversed": lambda a: a[::-1] if a.ndim else a,
    "every other": lambda a: np.repeat(a, 2, axis=-1)[..., ::2] if a.ndim else a,
    "transposed": lambda a: a.T,
    "read-only": lambda a: np.broadcast_to(a, a.shape),
}
numbers = st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False, allow_infinity=False)
texts = st.text(st.characters(codec="utf-8"), max_size=10)
values = st.recursive(
    st.none() | st.booleans() | numbers | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=10,
)


@settings(max_examples=150, deadline=None)
@given(
    kind=names,
    header=st.dictionaries(texts, values, max_size=3),
    arrays=st.dictionaries(names, st.tuples(hnp.arrays(scalars, shapes), st.sampled_from(sorted(layouts))), max_size=4),
)
def test_any_content_comes_back_as_it_was(tmp_path_factory: Any, kind: str, header: Any, arrays: Any) -> None:
    folder = tmp_path_factory.mktemp("round-trip")
    given_arrays = {name: layouts[how](a) for name, (a, how) in arrays.items()}
    io.write(folder / "a.cw", kind, header, given_arrays)
    assert_holds(folder / "a.cw", (kind, header, given_arrays))
    reordered = {name: np.array(given_arrays[name]) for name in reversed(given_arrays)}
    io.write(folder / "b.cw", kind, dict(reversed(header.items())), reordered)
    assert (folder / "b.cw").read_bytes() == (folder / "a.cw").read_bytes()
    (folder / "a.cw").unlink()
    (folder / "b.cw").unlink()
    folder.rmdir()


if __name__ == "__main__":
    GOLDEN.mkdir(parents=True, exist_ok=True)
    for golden_name, golden_content in contents().items():
        if not (GOLDEN / golden_name).exists():
            io.write(GOLDEN / golden_name, *golden_content)
