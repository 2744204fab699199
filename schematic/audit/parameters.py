"""The parameters of the user's nets, and gradients of them as short vectors."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from math import sqrt
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

Vector = NDArray[np.float64]

FEW = 48  # entries of a tensor that are compared one by one; of a longer one also the sum of all with random signs


@dataclass(frozen=True)
class Parameters:
    """The tensors in a fixed order, and which entries of each are looked at."""

    names: tuple[str, ...]
    tensors: tuple[Tensor, ...]
    picked: tuple[Tensor, ...]
    signs: tuple[Tensor | None, ...]

    @classmethod
    def of(cls, named: Iterable[tuple[str, Tensor]]) -> Parameters:
        pairs = tuple(named)
        draw = torch.Generator().manual_seed(0)
        picked = tuple(torch.randperm(t.numel(), generator=draw)[:FEW] for _, t in pairs)
        signs = tuple(_signs(t, draw) if t.numel() > FEW else None for _, t in pairs)
        return cls(tuple(n for n, _ in pairs), tuple(t for _, t in pairs), picked, signs)

    @property
    def sizes(self) -> tuple[int, ...]:
        return tuple(len(p) + (s is not None) for p, s in zip(self.picked, self.signs, strict=True))

    def places(self, chosen: Iterable[int]) -> NDArray[np.int64]:
        """Where the chosen tensors stand in a vector."""
        ends = np.cumsum((0, *self.sizes))
        parts = [np.arange(ends[i], ends[i + 1]) for i in sorted(chosen)]
        return np.concatenate(parts) if parts else np.zeros(0, dtype=np.int64)

    def vector(self, gradients: Sequence[Tensor | None]) -> Vector:
        """The gradients of all tensors, each by its picked entries."""
        parts = []
        for g, picked, signs, size in zip(gradients, self.picked, self.signs, self.sizes, strict=True):
            if g is None:
                parts.append(np.zeros(size))
                continue
            flat = g.detach().reshape(-1).double()
            more = [] if signs is None else [(flat @ signs) / sqrt(len(flat))]
            parts.append(torch.cat([flat[picked], *(m.reshape(1) for m in more)]).numpy())
        return np.concatenate(parts) if parts else np.zeros(0)

    def gradient(self, value: Tensor, weight: Tensor | None = None) -> Vector:
        """The gradient of a value, or of the product with a weight; zeros where nothing reaches."""
        if not value.requires_grad:
            return np.zeros(sum(self.sizes))
        asking = [t for t in self.tensors if t.requires_grad]
        total = value if weight is None else (value * weight.detach()).sum()
        found = iter(torch.autograd.grad(total, asking, retain_graph=True, allow_unused=True) if asking else ())
        return self.vector([next(found) if t.requires_grad else None for t in self.tensors])

    def reached(self, call: Callable[[], Any]) -> frozenset[int]:
        """The tensors that what `call` returns depends on."""
        values = [v for v in flat_tensors(call()) if v.requires_grad]
        if not values:
            return frozenset()
        total = sum((v.sum() for v in values), torch.zeros(()))
        found = torch.autograd.grad(total, self.tensors, allow_unused=True)
        return frozenset(i for i, g in enumerate(found) if g is not None)

    def indices(self, tensors: Iterable[Tensor]) -> frozenset[int]:
        """The places of these tensors."""
        by_id = {id(t): i for i, t in enumerate(self.tensors)}
        return frozenset(by_id[id(t)] for t in tensors if id(t) in by_id)

    def shake(self, seed: int, gain: float = 1.4) -> None:
        """Random weights, in a size that keeps signals: nothing learned, nothing special."""
        draw = torch.Generator().manual_seed(seed)
        with torch.no_grad():
            for t in self.tensors:
                noise = torch.randn(t.shape, generator=draw, dtype=t.dtype)
                if t.dim() > 1:
                    t.copy_(noise * gain / sqrt(max(1, t[0].numel())))
                else:
                    t.copy_(t.clamp(-1, 1).round() + 0.3 * noise)


def _signs(t: Tensor, draw: torch.Generator) -> Tensor:
    return torch.randint(0, 2, (t.numel(),), generator=draw).double() * 2 - 1


def flat_tensors(value: Any) -> list[Tensor]:
    """Every tensor in nested tuples, lists and dicts, and in distributions."""
    if isinstance(value, Tensor):
        return [value]
    if isinstance(value, dict):
        return [t for v in value.values() for t in flat_tensors(v)]
    if isinstance(value, tuple | list):
        return [t for v in value for t in flat_tensors(v)]
    if isinstance(value, torch.distributions.Distribution):
        return flat_tensors(
            [v for v in vars(value).values() if isinstance(v, Tensor | torch.distributions.Distribution)]
        )
    return []


def modules_of(call: Any, seen: set[int] | None = None) -> list[nn.Module]:
    """The modules that a callable can reach: itself, its object's, its closure's, its globals'."""
    seen = set() if seen is None else seen
    if id(call) in seen:
        return []
    seen.add(id(call))
    if isinstance(call, nn.Module):
        return [call]
    if isinstance(call, dict):
        return [m for v in list(call.values()) for m in modules_of(v, seen)]
    if isinstance(call, tuple | list):
        return [m for v in call for m in modules_of(v, seen)]
    owner = getattr(call, "__self__", None)
    if isinstance(owner, nn.Module):
        return [owner]
    inner = [c.cell_contents for c in getattr(call, "__closure__", None) or () if _filled(c)]
    code = getattr(call, "__code__", None)
    names = code.co_names if code is not None else ()
    globals_ = getattr(call, "__globals__", {})
    used = [globals_[n] for n in names if n in globals_]
    attributes = [getattr(m, n) for m in used if type(m).__name__ == "module" for n in names if _owned(m, n)]
    own = [vars(owner)] if owner is not None and hasattr(owner, "__dict__") else []
    return [m for v in (*inner, *used, *attributes, *own) if _worth(v) for m in modules_of(v, seen)]


def _owned(module: Any, name: str) -> bool:
    return name in vars(module) and not module.__name__.startswith(("torch", "numpy"))


def _worth(value: Any) -> bool:
    return (
        isinstance(value, nn.Module | dict | tuple | list) or hasattr(value, "__code__") or hasattr(value, "__self__")
    )


def _filled(cell: Any) -> bool:
    try:
        return cell.cell_contents is not None
    except ValueError:
        return False
