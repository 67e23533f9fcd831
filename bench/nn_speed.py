"""Speed of networks that compute from codes (bench/nn.py speed): the kernel on a 4096 x 4096 matrix, and MiniLM end to end.

One thread, CPU time, contenders in turns, the least of their rounds. `cache`: the same matrix again and again; `memory`: as many
matrices in turn as make 512 MB.
"""

from __future__ import annotations

import ctypes
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from nn_models import Sts, load_minilm
from torch.nn import functional as F

import codeword as cw
from codeword.nn import compress, load, set_activations
from codeword.nn.codecs import TrellisCodec, codec
from codeword.nn.incoherence import rotation

SIDE, MEMORY = 4096, 512 << 20
PORT_CYCLES = 21 / 2  # of 256 weights at 2 bits: 21 vector operations on two ports (native/kernels/trellis_multiply.h)


def compiled() -> Any:
    """nn_native.cpp as a library; None without a compiler."""
    compiler = shutil.which("c++") or shutil.which("g++")
    if compiler is None:
        return None
    target = Path(tempfile.mkdtemp()) / "nn_native.so"
    source = Path(__file__).with_name("nn_native.cpp")
    subprocess.run([compiler, "-O3", "-march=native", "-std=c++20", "-shared", "-fPIC", str(source), "-o", str(target)], check=True)
    library = ctypes.CDLL(str(target))
    library.clock_rate.restype = ctypes.c_double
    return library


def in_turns(contenders: dict[str, Callable[[int], object]], rounds: int, calls: int) -> dict[str, float]:
    """Least CPU seconds a call of each; a contender is told the number of the call."""
    least = dict.fromkeys(contenders, np.inf)
    for _ in range(rounds):
        for name, f in contenders.items():
            f(0)
            start = time.process_time()
            for i in range(calls):
                f(i)
            least[name] = min(least[name], (time.process_time() - start) / calls)
    return least


def contenders(rng: np.random.Generator, native: Any, bytes_: int) -> dict[str, Callable[[int], object]]:
    """One row times a matrix of `SIDE` rows and columns, of as many as `bytes_` hold."""
    x = rng.normal(size=(1, SIDE)).astype(np.float32)
    x8 = np.clip(np.rint(30 * x[0]), -127, 127).astype(np.int8)
    sums = np.zeros(SIDE, np.int32)
    data = rng.integers(0, 256, max(bytes_, SIDE * SIDE * 4), dtype=np.uint8)
    turn_in, turn_out = (rotation(seed, SIDE).native(SIDE) for seed in (1, 2))
    made: dict[str, Callable[[int], object]] = {}

    def part(i: int, size: int) -> np.ndarray:
        count = max(1, bytes_ // size)
        return data[i % count * size : i % count * size + size]

    def ours(method: str, bits: float, turned: bool) -> Callable[[int], object]:
        coded = codec(method, bits)
        assert isinstance(coded, TrellisCodec)
        matrix, unit = coded.matrix(SIDE, SIDE, 512)
        size = int(SIDE * SIDE * bits / 8)
        around = (turn_in, turn_out) if turned else (None, None)
        return lambda i: matrix.multiply(part(i, size).reshape(SIDE // 128, SIDE // 4, -1), x, *around, unit, None)

    for bits in (2.0, 3.0, 4.0):
        made[f"codes, {bits:g} bits"] = ours("trellis8", bits, False)
    made["codes, 2 bits, with rotations"] = ours("trellis8", 2.0, True)
    made["codes, 2 bits, values of 16 bits"] = ours("trellis", 2.0, False)
    whole = SIDE * SIDE
    if native is not None:
        pointers = x8.ctypes.data_as(ctypes.c_void_p), sums.ctypes.data_as(ctypes.c_void_p)

        def int4(i: int) -> None:
            native.multiply_int4(ctypes.c_void_p(part(i, whole // 2).ctypes.data), *map(ctypes.c_int64, (SIDE, SIDE)), *pointers)

        def read(i: int) -> None:
            native.read_bytes(ctypes.c_void_p(part(i, whole // 4).ctypes.data), ctypes.c_int64(whole // 32))

        made["int4, int8 activations"], made["reading the codes of 2 bits"] = int4, read
    floats = torch.from_numpy(rng.normal(size=(max(1, bytes_ // (4 * whole)), SIDE, SIDE)).astype(np.float32))
    made["float32"] = lambda i: F.linear(torch.from_numpy(x), floats[i % len(floats)])
    return made


def dequantized(rng: np.random.Generator) -> Callable[[int], object]:
    """Decode to float32, then multiply."""
    coded = codec("trellis8", 2.0)
    codes = rng.integers(0, 256, (SIDE // 128 * (SIDE // 4), 128), dtype=np.uint8)
    x = torch.randn(1, 512)
    return lambda i: F.linear(x, torch.from_numpy(coded.decode(codes, 512)))


def kernels() -> None:
    """A matrix times one row."""
    native, rng = compiled(), np.random.default_rng(0)
    clock = native.clock_rate() if native is not None else float("nan")
    limit = 1e3 * SIDE * SIDE / 256 * PORT_CYCLES / (clock * 1e9)
    print(f"{cw.isa()}, {clock:.2f} GHz; look-ups and dot products at 2 bits take at least {limit:.3f} ms on two vector ports")
    found = {}
    for where, bytes_, rounds, calls in (("cache", 0, 20, 8), ("memory", MEMORY, 3, 128)):
        made = contenders(rng, native, bytes_)
        if where == "cache":
            made["float32 after decoding"] = dequantized(rng)
        for name, seconds in in_turns(made, rounds, calls).items():
            found.setdefault(name, {})[where] = seconds
    for name, seconds in found.items():
        print(f"{name:34s}" + "".join(f"  {where} {1e3 * s:7.3f} ms" for where, s in seconds.items()), flush=True)
    reading, ours = found.get("reading the codes of 2 bits"), found["codes, 2 bits"]
    if reading:
        share = max(limit / 1e3, reading["memory"]) / ours["memory"]
        print(f"share of the limit: cache {limit / 1e3 / ours['cache']:.2f}, memory {share:.2f}")


def minilm() -> None:
    """MiniLM from its 2-bit file against float32."""
    sts, model = Sts(), load_minilm()
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder) / "minilm.safetensors")
        size = compress(model, 2.0, calibration=sts.calibration(128)).save(path)
        packed = load(path, load_minilm()).eval()
    print(f"MiniLM, a file of {size:,} bytes")
    sentences = [s for pair in sts.pairs[:64] for s in pair]
    with torch.inference_mode():
        for batch in (1, 32):
            ids = [i for _, i in sts.batches(sentences, batch)]
            least = in_turns(
                {"float32": lambda _, ids=ids: [model(i) for i in ids], "codes": lambda _, ids=ids: [packed(i) for i in ids]}, 5, 1
            )
            least = {name: s / len(ids) for name, s in least.items()}
            ratio = least["float32"] / least["codes"]
            print(
                f"batch {batch}: float32 {1e3 * least['float32']:.2f} ms, codes {1e3 * least['codes']:.2f} ms, {ratio:.2f}x",
                flush=True,
            )
        ids = next(iter(sts.batches(sentences, 32)))[1]
        found = packed(ids)
        set_activations(packed, "float32")
        exact = packed(ids)
    print(f"root mean square difference to float32 activations: {float((found - exact).norm() / exact.norm()):.4f} of the vectors'")


def speed() -> None:
    """Both."""
    torch.set_num_threads(1)
    kernels()
    minilm()


if __name__ == "__main__":
    speed()
