"""codeword.torch in two processes: statistics of both, codebooks equal bit for bit, the result of one process with both batches."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

torch = pytest.importorskip("torch")

import torch.distributed as dist  # noqa: E402
import torch.multiprocessing as mp  # noqa: E402

from codeword.torch import FSQ, LFQ, GroupedResidualVQ, ResidualVQ, SimVQ, VectorQuantize  # noqa: E402

LIMIT = timedelta(seconds=120)
pytestmark = pytest.mark.skipif(not dist.is_available() or not dist.is_gloo_available(), reason="this build of PyTorch has no gloo")


def layers() -> dict[str, Any]:
    return {
        "ema": VectorQuantize(4, 16, revive=0.5),
        "cosine": VectorQuantize(4, 16, cosine=True, revive=0.5),
        "gradient": VectorQuantize(4, 16, learn="gradient", revive=0.5, grad="diveq"),
        "residual": ResidualVQ(4, 8, m=2, dropout=0.5),
        "grouped": GroupedResidualVQ(4, 8, m=1, groups=2),
        "fsq": FSQ((4, 3, 3, 2)),
        "lfq": LFQ(4),
        "simvq": SimVQ(4, 16),
    }


def batch(step: int, rank: int) -> Any:
    """Of different size and distribution in each process."""
    generator = torch.Generator().manual_seed(10 * step + rank)
    return torch.randn(60 + 40 * rank, 4, generator=generator) + 3 * rank


def train(rank: int, folder: str) -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=2, timeout=LIMIT)
    torch.manual_seed(0)
    made = layers()
    torch.manual_seed(100 + rank)  # what a process draws for itself may differ
    results = {}
    for name, layer in made.items():
        model = torch.nn.Sequential(torch.nn.Linear(4, 4), layer)
        torch.nn.init.eye_(model[0].weight)
        torch.nn.init.zeros_(model[0].bias)
        parallel = torch.nn.parallel.DistributedDataParallel(model, broadcast_buffers=False)
        optimizer = torch.optim.SGD(model.parameters(), 0.01)
        for step in range(8):
            out = parallel(batch(step, rank))
            (out.quantized.square().mean() + out.loss).backward()
            optimizer.step()
            optimizer.zero_grad()
        results[name] = ({**model.state_dict()}, out.perplexity.detach(), out.usage, layer.usage())
    results["alone"] = alone(rank)
    torch.save(results, f"{folder}/{rank}.pt")
    dist.barrier()
    dist.destroy_process_group()


def alone(rank: int) -> Any:
    """Codewords of a layer without a network around it, from batches of equal size."""
    torch.manual_seed(0)
    layer = VectorQuantize(4, 8, revive=0.0)
    for step in range(5):
        layer(batch(step, rank)[:60])
    return layer.codebook.codewords


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = str(tmp_path_factory.mktemp("processes"))
    mp.start_processes(train, (folder,), nprocs=2, start_method="spawn")
    return [torch.load(f"{folder}/{rank}.pt", weights_only=False) for rank in range(2)]


@pytest.mark.parametrize("name", layers())
def test_both_processes_end_with_the_same_codebook_bit_for_bit(results: Any, name: str) -> None:
    one, other = (r[name][0] for r in results)
    assert one.keys() == other.keys()
    for key in one:
        assert torch.equal(one[key], other[key]), key


@pytest.mark.parametrize("name", layers())
def test_perplexity_and_usage_are_of_both_processes(results: Any, name: str) -> None:
    (_, perplexity, share, usage), (_, other_perplexity, other_share, other_usage) = (r[name] for r in results)
    assert torch.equal(perplexity, other_perplexity)
    assert torch.equal(share, other_share)
    assert usage == other_usage
    if name != "residual":  # which drops stages
        assert all(u.n == 8 * 160 for u in (usage if isinstance(usage, list) else [usage]))


def test_two_processes_learn_what_one_learns_from_both_batches(results: Any) -> None:
    torch.manual_seed(0)
    layer = VectorQuantize(4, 8, revive=0.0)
    for step in range(5):
        layer(torch.cat([batch(step, 0), batch(step, 1)[:60]]))
    torch.testing.assert_close(results[0]["alone"], layer.codebook.codewords, rtol=1e-4, atol=1e-4)
