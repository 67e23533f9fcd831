"""Layers of `codeword.torch` beside vector-quantize-pytorch in a fixed small autoencoder, at equal bits: reconstruction of fresh images,
perplexity of their codes, time of a step. See README.md beside this.

A pair is one kind of layer, ours and theirs. Both start from the same autoencoder and see the same batches; differences are taken seed by
seed. Figures are of images that were not trained on.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
import vector_quantize_pytorch as peer
from common import data_folder
from torch import Tensor, nn

import codeword
import codeword.torch as ours

WIDTH, K, M = 64, 512, 4
BATCH, RATE = 32, 2e-3


class Pair(NamedTuple):
    """One kind of layer: makers of ours and of theirs, the width of its vectors and how many numbers its indices are below."""

    ours: Callable[[], nn.Module]
    theirs: Callable[[], nn.Module]
    d: int = WIDTH
    k: int = K


def vq(**options: Any) -> Callable[[], nn.Module]:
    return lambda: ours.VectorQuantize(WIDTH, K, **options)


def tuned(rotation_trick: bool = False, **options: Any) -> Callable[[], nn.Module]:
    """Their layer with what their README advises against dead codewords."""
    return lambda: peer.VectorQuantize(
        WIDTH, K, kmeans_init=True, threshold_ema_dead_code=2, rotation_trick=rotation_trick, **options
    )


def residual() -> nn.Module:
    options = {"kmeans_init": True, "threshold_ema_dead_code": 2, "rotation_trick": False}
    return peer.ResidualVQ(dim=WIDTH, codebook_size=256, num_quantizers=M, **options)


# Gradients straight through on both sides unless the name says otherwise.
PAIRS = {
    "vq": Pair(vq(), tuned()),
    "vq, rotation": Pair(vq(grad="rotation"), tuned(rotation_trick=True)),
    "vq, all defaults": Pair(vq(), lambda: peer.VectorQuantize(WIDTH, K)),
    "vq, cosine": Pair(vq(cosine=True), tuned(use_cosine_sim=True)),
    "vq, by gradient": Pair(vq(learn="gradient"), tuned(learnable_codebook=True, ema_update=False)),
    "residual": Pair(lambda: ours.ResidualVQ(WIDTH, 256, M), residual, WIDTH, 256),
    "fsq": Pair(lambda: ours.FSQ((8, 8, 8)), lambda: peer.FSQ([8, 8, 8]), 3, K),
    "lfq": Pair(lambda: ours.LFQ(9), lambda: peer.LFQ(dim=9, codebook_size=K), 9, K),
    "simvq, rotation": Pair(lambda: ours.SimVQ(WIDTH, K, grad="rotation"), lambda: peer.SimVQ(WIDTH, K)),
}


def mnist() -> tuple[Tensor, Tensor]:
    """Images (n, 1, 28, 28) in [0, 1] to train on, and others."""
    X = np.concatenate([np.load(data_folder() / "mnist784" / f"{part}.npy") for part in ("base", "queries")])
    images = torch.from_numpy(X.reshape(-1, 1, 28, 28).astype(np.float32) / 255)
    return images[:8500], images[8500:]


def kodak() -> tuple[Tensor, Tensor]:
    """Patches (n, 3, 32, 32) of photographs in [0, 1]: of the first 18 to train on, of the last 6 to test."""
    from PIL import Image

    parts = []
    for path in sorted((data_folder() / "kodak").glob("*.png")):
        pixels = np.asarray(Image.open(path).convert("RGB"), np.float32) / 255
        height, width = (n // 32 for n in pixels.shape[:2])
        tiles = pixels[: height * 32, : width * 32].reshape(height, 32, width, 32, 3)
        parts.append(tiles.transpose(0, 2, 4, 1, 3).reshape(-1, 3, 32, 32))
    return torch.from_numpy(np.concatenate(parts[:18])), torch.from_numpy(np.concatenate(parts[18:])[::3].copy())


DATA = {"mnist784": mnist, "kodak": kodak}


class Autoencoder(nn.Module):
    """Four times smaller on each side, d numbers a place; the layer in the middle sees (b, places, d)."""

    def __init__(self, channels: int, d: int) -> None:
        super().__init__()
        self.encoder = nn.Sequential(
            nn.Conv2d(channels, 24, 4, 2, 1), nn.ReLU(), nn.Conv2d(24, 48, 4, 2, 1), nn.ReLU(), nn.Conv2d(48, d, 1)
        )
        self.decoder = nn.Sequential(
            nn.Conv2d(d, 48, 3, 1, 1), nn.ReLU(), nn.ConvTranspose2d(48, 24, 4, 2, 1), nn.ReLU(),
            nn.ConvTranspose2d(24, channels, 4, 2, 1),
        )  # fmt: skip

    def forward(self, x: Tensor, layer: nn.Module | None) -> tuple[Tensor, Any, Tensor]:
        z = self.encoder(x)
        rows = z.flatten(2).transpose(1, 2)
        out, indices, loss = rows, None, torch.zeros(())
        if layer is not None:
            out, indices, *rest = layer(rows)
            loss = rest[0].sum() if rest else loss
        return self.decoder(out.transpose(1, 2).reshape(z.shape)), indices, loss


def train(
    data: tuple[Tensor, Tensor], make: Callable[[], nn.Module] | None, d: int, k: int, seed: int, steps: int
) -> dict[str, float]:
    """Train one autoencoder and measure it."""
    images, fresh = data
    torch.manual_seed(seed)
    model = Autoencoder(images.shape[1], d)
    layer = make() if make else None
    parameters = [*model.parameters(), *(layer.parameters() if layer else [])]
    optimizer = torch.optim.Adam(parameters, RATE)
    order = torch.Generator().manual_seed(seed)
    seconds = []
    for _ in range(steps):
        x = images[torch.randint(len(images), (BATCH,), generator=order)]
        start = time.process_time()
        y, _, loss = model(x, layer)
        (nn.functional.mse_loss(y, x) + loss).backward()
        optimizer.step()
        optimizer.zero_grad()
        seconds.append(time.process_time() - start)
    return {**measure(model, layer, fresh, k), "step_ms": 1e3 * statistics.median(seconds)}


@torch.no_grad()
def measure(model: Autoencoder, layer: nn.Module | None, fresh: Tensor, k: int) -> dict[str, float]:
    """Mean squared error of fresh images, and perplexity of their indices (the mean over stages)."""
    model.eval()
    if layer is not None:
        layer.eval()
    error, found = 0.0, []
    for x in fresh.split(256):
        y, indices, _ = model(x, layer)
        error += float((y - x).square().sum())
        if indices is not None:
            found.append(indices.reshape(-1, indices.shape[-1] if indices.ndim == 3 else 1))
    perplexities = [perplexity(column, k) for column in torch.cat(found).unbind(1)] if found else [math.nan]
    return {"mse": error / fresh.numel(), "perplexity": statistics.mean(perplexities)}


def perplexity(indices: Tensor, k: int) -> float:
    shares = torch.bincount(indices.long(), minlength=k).double() / len(indices)
    return float(torch.special.entr(shares).sum().exp())


def layer_times(pair: Pair, tokens: int, rounds: int) -> tuple[float, float]:
    """CPU milliseconds of one step of the layers alone, ours and theirs in turns: medians over rounds."""
    torch.manual_seed(0)
    x = torch.randn(BATCH, tokens, pair.d)
    layers = [pair.ours(), pair.theirs()]
    seconds: list[list[float]] = [[], []]
    for turn in range(rounds + 3):
        for layer, times in zip(layers, seconds, strict=True):
            z = x.clone().requires_grad_()
            start = time.process_time()
            out, _, *rest = layer(z)
            (out.square().mean() + (rest[0].sum() if rest else 0)).backward()
            if turn >= 3:
                times.append(time.process_time() - start)
    return 1e3 * statistics.median(seconds[0]), 1e3 * statistics.median(seconds[1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("pairs", nargs="*", help=f"some of: {', '.join(PAIRS)} (default: all)")
    parser.add_argument("--data", nargs="+", default=list(DATA), choices=list(DATA))
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--times", action="store_true", help="only the time of the layers alone")
    parser.add_argument("--json", default="", help="all figures; runs that are there already are not repeated")
    options = parser.parse_args()
    torch.set_num_threads(1)
    codeword.set_threads(1)
    path = Path(options.json) if options.json else None
    known: dict[str, Any] = json.loads(path.read_text()) if path and path.exists() else {}
    for dataset in options.data:
        data = DATA[dataset]()
        tokens = data[0].shape[2] * data[0].shape[3] // 16
        for name in options.pairs or PAIRS:
            pair = PAIRS[name]
            ours_ms, theirs_ms = layer_times(pair, tokens, 40)
            print(
                f"{dataset:9} {name:24} layer alone {ours_ms:.2f} ms, theirs {theirs_ms:.2f}: ratio {ours_ms / theirs_ms:.2f}",
                flush=True,
            )
            if options.times:
                continue
            runs: list[list[dict[str, float]]] = [[], []]
            for seed in range(options.seeds):
                for side, make in enumerate((pair.ours, pair.theirs)):
                    key = f"{dataset}/{name}/{'theirs' if side else 'ours'}/{options.steps}/{seed}"
                    if key not in known:
                        known[key] = train(data, make, pair.d, pair.k, seed, options.steps)
                        if path:
                            path.write_text(json.dumps(known, indent=1) + "\n")
                    runs[side].append(known[key])
            report(*runs)


def report(mine: list[dict[str, float]], theirs: list[dict[str, float]]) -> None:
    """Means of both, the mean difference and its standard error."""
    for key in ("mse", "perplexity", "step_ms"):
        a, b = [r[key] for r in mine], [r[key] for r in theirs]
        differences = [x - y for x, y in zip(a, b, strict=True)]
        error = statistics.stdev(differences) / len(differences) ** 0.5 if len(differences) > 1 else math.nan
        mean = statistics.mean(differences)
        print(
            f"    {key:10} {statistics.mean(a):9.5g} theirs {statistics.mean(b):9.5g}   ratio {statistics.mean(a) / statistics.mean(b):.3f}"
            f"   difference {mean:+.4g} = {mean / error if error else math.inf:+.1f} standard errors",
            flush=True,
        )


if __name__ == "__main__":
    main()
