"""Statistics of all processes: what data-parallel copies of a layer must agree on before they change its codebook.

Without a process group, or with one process, nothing here does anything.
"""

from __future__ import annotations

import torch
import torch.distributed as dist
from torch import Tensor


def world() -> int:
    """How many processes train together."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def summed(parts: list[Tensor]) -> list[Tensor]:
    """The sums over all processes of float tensors, in one exchange."""
    if world() == 1:
        return parts
    flat = torch.cat([p.reshape(-1) for p in parts])
    dist.all_reduce(flat)
    return [f.view_as(p) for f, p in zip(flat.split([p.numel() for p in parts]), parts, strict=True)]


def least(number: int, like: Tensor) -> int:
    """The least of the numbers that the processes have."""
    if world() == 1:
        return number
    shared = torch.tensor([number], device=like.device)
    dist.all_reduce(shared, dist.ReduceOp.MIN)
    return int(shared)


def joined(rows: Tensor) -> Tensor:
    """The rows of all processes, in the order of their ranks; each must bring as many."""
    if world() == 1:
        return rows
    parts = [torch.empty_like(rows) for _ in range(world())]
    dist.all_gather(parts, rows.contiguous())
    return torch.cat(parts)
