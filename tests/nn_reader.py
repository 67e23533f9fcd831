"""A reader of compressed models in plain NumPy: the format of docs/format.md, written down once more without this package."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import numpy as np

DTYPES = {"U8": "u1", "I16": "<i2", "I8": "i1", "I64": "<i8", "F16": "<f2", "F32": "<f4", "F64": "<f8"}
KINDS = [(1, 1), (2, 1), (3, 1), (4, 1), (5, 1), (6, 1), (1, 2), (1, 4), (1, 8), (3, 2), (5, 2), (3, 4)]
MIX = [np.uint64(0x9E3779B97F4A7C15), np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)]


def read(path: Path) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Tensors and the metadata of a safetensors file."""
    data = path.read_bytes()
    (size,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8 : 8 + size])
    about = json.loads(header.pop("__metadata__")["codeword"])
    body = data[8 + size :]
    return {
        name: np.frombuffer(body[slice(*t["data_offsets"])], DTYPES[t["dtype"]]).reshape(t["shape"]) for name, t in header.items()
    }, about


def weight(tensors: dict[str, np.ndarray], about: dict[str, Any], name: str) -> np.ndarray:
    """A compressed weight (rows, columns) of linear layers, convolutions and embeddings."""
    w = about["weights"][name]
    rows, columns = w["matrix"]
    bands = -(-rows // 128)
    height = -(-rows // bands)
    tile = 4 * max(1, -(-64 // (4 * height)))
    codes = tensors[f"{name}.codes"]
    prefix = f"codeword.tables.{w['method']}.{w['bits']:g}."
    tables = {n.removeprefix(prefix): t for n, t in tensors.items() if n.startswith(prefix)}
    decode = {"trellis": trellis, "trellis8": trellis, "product": codebook, "scalar": codebook}[w["method"]]
    pieces = decode(codes.reshape(-1, codes.shape[2]), height * tile, w["bits"], tables)
    grid = pieces.reshape(bands, -1, height, tile).transpose(0, 2, 1, 3).reshape(bands * height, -1)
    matrix = unrotate(np.ascontiguousarray(grid[:rows, :columns], np.float32), w["seed"])
    if w["both"]:
        matrix = unrotate(np.ascontiguousarray(matrix.T), w["seed"] + 1).T
    scales = 2.0 ** ((tensors[f"{name}.row_bytes"].astype(np.float64) - 128) / 8)
    return (matrix * (tensors[f"{name}.scale"] / scales)[:, None]).reshape(w["shape"])


def codebook(codes: np.ndarray, width: int, bits: float, tables: dict[str, np.ndarray]) -> np.ndarray:
    """Pieces (n, width) of symbols, least significant bits first."""
    words = tables["codebook"]
    symbol = int(np.log2(len(words)))
    stream = np.unpackbits(codes, axis=1, bitorder="little")
    symbols = -(-width // words.shape[1])
    numbers = stream[:, : symbols * symbol].reshape(len(codes), symbols, symbol) @ (1 << np.arange(symbol))
    return words[numbers].reshape(len(codes), -1)[:, :width]


def trellis(codes: np.ndarray, width: int, bits: float, tables: dict[str, np.ndarray]) -> np.ndarray:
    """Pieces (n, width): the last 16 bits of a circular bit string look each coordinate up."""
    step, group = (int(bits), 1) if bits == int(bits) else (int(2 * bits), 2)
    table = list(tables["numbers"])
    first = sum(g for _, g in KINDS[: KINDS.index((step, group))])
    stream = np.unpackbits(codes, axis=1, bitorder="little").astype(np.int64)
    total = stream.shape[1]
    out = np.zeros((len(codes), width), np.float32)
    for j in range(width):
        end = (j // group + 1) * step
        newest = sum(stream[:, (end - 8 + b) % total] << b for b in range(8))
        older = sum(stream[:, (end - 16 + b) % total] << b for b in range(8))
        row = tables["values"][table.index(first + j % group)]
        out[:, j] = row[newest ^ tables["folds"][older]] / np.float32(8192)
    return out


def bits64(seed: int, stream: int, n: int) -> np.ndarray:
    """SplitMix64 as a hash of (seed, stream, number)."""

    def mix(z: np.ndarray) -> np.ndarray:
        z = (z ^ (z >> np.uint64(30))) * MIX[1]
        z = (z ^ (z >> np.uint64(27))) * MIX[2]
        return z ^ (z >> np.uint64(31))

    with np.errstate(over="ignore"):
        start = mix(mix(np.array([seed], np.uint64) + MIX[0]) ^ (np.array([stream], np.uint64) * MIX[2] + MIX[0]))
        return mix(start + np.arange(1, n + 1, dtype=np.uint64) * MIX[0])


def unrotate(A: np.ndarray, seed: int) -> np.ndarray:
    """Rows of A (n, d) rotated back: rounds of Hadamard transforms of two windows, signs and a permutation, last first."""
    d = A.shape[1]
    length = 1 << (d.bit_length() - 1)
    windows = [(0, length), (d - length, length)]
    if length == d:
        windows = [(0, d), (d // 4, d // 2 if d != 8 else 2)] if d > 1 else [(0, 1)]
    for r in reversed(range(3 if d >= 64 else 4)):
        drawn = bits64(seed, 0x726F7461746500 + r, 3 * d).reshape(3, d)
        for (start, size), own in reversed(list(zip(windows, drawn[:2], strict=False))):
            signs = np.where(own[:size] >> np.uint64(63), -1, 1) * np.float32(size**-0.5)
            A[:, start : start + size] = hadamard(A[:, start : start + size]) * signs
        if r:
            A = A[:, np.argsort(np.argsort(drawn[2], kind="stable"))]
    return np.ascontiguousarray(A)


def hadamard(x: np.ndarray) -> np.ndarray:
    """The Walsh-Hadamard transform of rows, not normalised."""
    n, d = x.shape
    step = 1
    while step < d:
        pairs = x.reshape(n, d // (2 * step), 2, step)
        x = np.stack([pairs[:, :, 0] + pairs[:, :, 1], pairs[:, :, 0] - pairs[:, :, 1]], axis=2).reshape(n, d)
        step *= 2
    return x
