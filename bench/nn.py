"""Compressed networks against other ways to few bits: scores at real bits, on real models.

    python bench/nn.py minilm --bits 2 2.5 3        STS-B dev Spearman on the pairs that do not calibrate
    python bench/nn.py resnet20 resnet56 --bits 2 3   CIFAR-10 accuracy on the JPEGs that do not calibrate
    python bench/nn.py stories --bits 2 3 4          perplexity of the stories that do not calibrate
    python bench/nn.py speed                         the kernel and MiniLM from codes against float32, CPU time (nn_speed.py)

One thread. Contenders are written here from their papers: GPTQ (Frantar et al. 2022; groups of 64, grid fixed beforehand, most important columns
first), HQQ (Badri & Shaji 2023; groups of 64), NF4 (Dettmers et al. 2023; blocks of 64), RTN (groups of 64), palette (k-means of a tensor's weights). Bits
of all count codes, scales, zeros and tables of the compressed layers; of ours, real bits of the whole file stand beside them.
"""

from __future__ import annotations

import argparse
import copy
import os
import time
from collections.abc import Callable
from typing import Any, NamedTuple

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("CODEWORD_THREADS", "1")

import numpy as np
import torch
from nn_models import (
    Cifar,
    Sts,
    Tales,
    load_minilm,
    load_resnet,
    load_stories,
    sampled_loss,
)
from nn_speed import speed
from torch import nn

import codeword as cw
from codeword.nn import compress
from codeword.nn.kinds import kind_of
from codeword.nn.moments import measure

GROUP = 64
NF4 = np.array(
    [-1, -0.6962, -0.5251, -0.3949, -0.2844, -0.1848, -0.0911, 0, 0.0796, 0.1609, 0.2461, 0.3379, 0.4407, 0.5626, 0.7230, 1],
    np.float32,
)
F32 = Any


class Task(NamedTuple):
    """A model, its calibration batches and its score."""

    model: nn.Module
    calibration: list[Any]
    score: Callable[[nn.Module], float]
    keep: tuple[str, ...]  # layers that all contenders leave alone, tables that only ours compress
    loss: Any = None


def grid(W: F32, bits: int) -> tuple[F32, F32]:
    """Scale and zero of each group of 64 columns (rows, groups), as float16."""
    parts = np.split(W, range(GROUP, W.shape[1], GROUP), axis=1)
    low = np.stack([np.minimum(p.min(1), 0) for p in parts], 1)
    high = np.stack([np.maximum(p.max(1), 0) for p in parts], 1)
    scale = np.maximum((high - low) / (2**bits - 1), 1e-8).astype(np.float16).astype(np.float32)
    return scale, np.rint(-low / scale)


def rounded(w: F32, scale: F32, zero: F32, bits: int) -> F32:
    return (np.clip(np.rint(w / scale + zero), 0, 2**bits - 1) - zero) * scale


def group_bits(W: F32, bits: int, zero_bits: float) -> float:
    return bits * W.size + W.shape[0] * -(-W.shape[1] // GROUP) * (16 + zero_bits)


def rtn(W: F32, H: F32, bits: int) -> tuple[F32, float]:
    """Round to nearest, groups of 64."""
    scale, zero = (np.repeat(a, GROUP, axis=1)[:, : W.shape[1]] for a in grid(W, bits))
    return rounded(W, scale, zero, bits), group_bits(W, bits, bits)


def gptq(W: F32, H: F32, bits: int) -> tuple[F32, float]:
    """Column by column, the error into the columns to come."""
    order = np.argsort(-np.diag(H), kind="stable")
    damped = H + 0.01 * np.mean(np.diag(H)) * np.eye(len(H))
    U = np.linalg.cholesky(np.linalg.inv(damped[np.ix_(order, order)])).T.astype(np.float32)
    scale, zero = (np.repeat(a, GROUP, axis=1)[:, : W.shape[1]][:, order] for a in grid(W, bits))
    left, out = W[:, order].copy(), np.empty_like(W)
    for start in range(0, W.shape[1], 128):
        stop = min(start + 128, W.shape[1])
        errors = np.zeros((len(W), stop - start), np.float32)
        for j in range(start, stop):
            out[:, j] = rounded(left[:, j], scale[:, j], zero[:, j], bits)
            errors[:, j - start] = (left[:, j] - out[:, j]) / U[j, j]
            left[:, j + 1 : stop] -= errors[:, j - start, None] * U[j, j + 1 : stop]
        left[:, stop:] -= errors @ U[start:stop, stop:]
    return out[:, np.argsort(order)], group_bits(W, bits, bits)


def hqq(W: F32, H: F32, bits: int) -> tuple[F32, float]:
    """Half-quadratic fit of the zero points: p = 0.7, beta from 10 up by 1.01, 20 rounds."""
    scale, zero = (np.repeat(a, GROUP, axis=1)[:, : W.shape[1]] for a in grid(W, bits))
    edges, beta = np.arange(0, W.shape[1], GROUP), 10.0
    sizes = np.diff([*edges, W.shape[1]])
    for _ in range(20):
        q = np.clip(np.rint(W / scale + zero), 0, 2**bits - 1)
        error = W - (q - zero) * scale
        shrunk = np.sign(error) * np.maximum(np.abs(error) - np.abs(error + 1e-12) ** -0.3 / beta, 0)
        mean = np.add.reduceat(q - (W - shrunk) / scale, edges, axis=1) / sizes
        zero = np.repeat(mean, GROUP, axis=1)[:, : W.shape[1]].astype(np.float16).astype(np.float32)
        beta *= 1.01
    return rounded(W, scale, zero, bits), group_bits(W, bits, 16)


def nf4(W: F32, H: F32, bits: int) -> tuple[F32, float]:
    """Blocks of 64 weights over their largest, 16 levels."""
    flat = np.pad(W.ravel(), (0, -W.size % GROUP)).reshape(-1, GROUP)
    top = np.maximum(np.abs(flat).max(1, keepdims=True), 1e-8)
    made = NF4[np.searchsorted((NF4[1:] + NF4[:-1]) / 2, flat / top)] * top
    return made.ravel()[: W.size].reshape(W.shape), 4 * W.size + 32 * len(flat)


def palette(W: F32, H: F32, bits: int) -> tuple[F32, float]:
    """2^bits values a tensor."""
    made = cw.ScalarQuantizer(bits, levels="lloyd-max").fit(W.reshape(-1, 1))
    return made.decode(made.encode(W.reshape(-1, 1))).reshape(W.shape), bits * W.size + 16 * 2**bits


OTHERS: dict[str, Callable[..., tuple[F32, float]]] = {
    "GPTQ g64": gptq,
    "HQQ g64": hqq,
    "RTN g64": rtn,
    "palette": palette,
    "NF4": nf4,
}


def other(task: Task, method: str, bits: int) -> tuple[float, float, float]:
    """Score, bits of the compressed layers, CPU seconds."""
    start = time.process_time()
    made = copy.deepcopy(task.model)
    layers = {n: m for n, m in made.named_modules() if kind_of(m) and not isinstance(m, nn.Embedding) and n not in task.keep}
    with torch.no_grad():
        moments = measure(task.model, {n: task.model.get_submodule(n) for n in layers}, task.calibration)
        spent, weights = 0.0, 0
        for name, layer in layers.items():
            kind, importance = kind_of(layer), moments.importance(name)
            W = kind.matrix(layer.weight).numpy().copy()
            Q, used = OTHERS[method](W, importance.inputs, bits)
            layer.weight = nn.Parameter(kind.weight(torch.from_numpy(Q.astype(np.float32)), tuple(layer.weight.shape)))
            spent, weights = spent + used, weights + W.size
    seconds = time.process_time() - start
    return task.score(made), spent / weights, seconds


def ours(task: Task, bits: float, seed: int, tables: bool) -> tuple[float, float, float, float, int]:
    """Score, bits of the compressed layers, CPU seconds, real bits and bytes of the file."""
    start = time.process_time()
    torch.manual_seed(seed)
    skip = dict.fromkeys(task.keep) | (
        {} if tables else {n: None for n, m in task.model.named_modules() if isinstance(m, nn.Embedding)}
    )
    tied = {id(m.weight) for n, m in task.model.named_modules() if isinstance(m, nn.Embedding)}
    if not tables and any(isinstance(m, nn.Linear) and id(m.weight) in tied for m in task.model.modules()):
        skip |= {n: None for n, m in task.model.named_modules() if isinstance(m, nn.Linear) and id(m.weight) in tied}
    q = compress(task.model, bits, calibration=task.calibration, layers=skip, loss=task.loss, seed=seed)
    seconds = time.process_time() - start
    layers = q.report.layers
    spent, weights = sum(8 * x.nbytes for x in layers), sum(x.shape[0] * x.shape[1] for x in layers)
    return task.score(q.model), spent / weights, seconds, q.report.bits, q.report.after


def task_of(name: str) -> Task:
    """The model and data that a question names."""
    if name == "minilm":
        sts = Sts()
        held = sts.split()[1]
        return Task(load_minilm(), sts.calibration(), lambda m: sts.spearman(m, held), ())
    if name == "stories":
        tales = Tales()
        return Task(load_stories(), tales.calibration(), tales.perplexity, ("head",))
    cifar = Cifar()
    return Task(load_resnet(int(name[6:])), cifar.calibration(), cifar.accuracy, ("conv1", "linear"), sampled_loss)


def main() -> None:
    """Run the questions named."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("questions", nargs="+", help="minilm, resnet20, resnet56, stories, speed")
    parser.add_argument("--bits", type=float, nargs="+", default=[2.0, 3.0])
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--others", nargs="*", default=list(OTHERS))
    parser.add_argument("--tables", action="store_true", help="compress embeddings too (ours)")
    args = parser.parse_args()
    torch.set_num_threads(1)
    for name in args.questions:
        if name == "speed":
            speed()
            continue
        task = task_of(name)
        print(f"{name}: float32 {task.score(task.model):.3f}", flush=True)
        for bits in args.bits:
            for seed in range(args.seeds):
                score, layer, seconds, real, size = ours(task, bits, seed, args.tables)
                print(
                    f"{name} ours seed {seed}: {score:.3f} @ {layer:.3f} ({real:.3f} of the file, {size:,} bytes), {seconds:.1f} s",
                    flush=True,
                )
            for method in args.others:
                if int(bits) != bits or (method == "NF4") != (bits == 4 and method == "NF4"):
                    continue
                score, layer, seconds = other(task, method, int(bits))
                print(f"{name} {method}: {score:.3f} @ {layer:.3f}, {seconds:.1f} s", flush=True)


if __name__ == "__main__":
    main()
