"""Layers in other forms: the same function and the same parameters under the same names, computed another way.

A layer takes another form by its class, so that parameters, their names and checkpoints stay as they are. Each form is
exact: in float64 its values and all its gradients are the plain layer's (tests/runtime/test_tune.py).
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

# oneDNN's matrix product is private in torch: absent, or of another signature, the plain product serves.
_PRODUCT = getattr(getattr(torch.ops, "mkldnn", None), "_linear_pointwise", None)
_TRANSFORMED = getattr(torch._C, "_are_functorch_transforms_active", lambda: False)


def product(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """x weight^T + bias by oneDNN, (..., in) and (out, in) -> (..., out); no derivative."""
    assert _PRODUCT is not None
    return cast(Tensor, _PRODUCT(x, weight, bias, "none", [], ""))


def available() -> bool:
    """Whether this torch has oneDNN's product, as it is called here."""
    if _PRODUCT is None or not torch.backends.mkldnn.is_available():  # type: ignore[no-untyped-call]
        return False
    x, weight, bias = torch.arange(6.0).reshape(2, 3), torch.arange(12.0).reshape(4, 3), torch.ones(4)
    try:
        return bool(torch.allclose(product(x, weight, bias), F.linear(x, weight, bias)))
    except (RuntimeError, TypeError):
        return False


class Product(torch.autograd.Function):
    """F.linear on matrices by oneDNN, and its gradients; where they are differentiated again, the plain products."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        ctx.save_for_backward(x, weight)
        return product(x, weight, bias)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
        (g,), (x, weight), (to_x, to_weight, to_bias) = gradients, ctx.saved_tensors, ctx.needs_input_grad
        if torch.is_grad_enabled():  # a penalty on a gradient's norm
            return (g @ weight if to_x else None, g.t() @ x if to_weight else None, g.sum(0) if to_bias else None)
        return (
            product(g, weight.t(), None) if to_x else None,
            product(g.t(), x.t(), None) if to_weight else None,
            g.sum(0) if to_bias else None,
        )


def direct(*tensors: Tensor | None) -> bool:
    """Whether oneDNN's product takes these: float32 on the CPU, and nothing that traces, transforms or casts."""
    if torch.compiler.is_compiling() or torch.is_autocast_enabled("cpu") or _TRANSFORMED():
        return False
    present = [t for t in tensors if t is not None]
    return all(type(t) in (Tensor, nn.Parameter) and t.dtype == torch.float32 and t.is_cpu for t in present)


class OneDNNLinear(nn.Linear):
    """A linear map, (..., in) -> (..., out), by oneDNN's product."""

    def forward(self, x: Tensor) -> Tensor:
        if x.numel() == 0 or not direct(x, self.weight, self.bias):
            return F.linear(x, self.weight, self.bias)
        flat = cast(Tensor, Product.apply(x.reshape(-1, x.shape[-1]), self.weight, self.bias))  # type: ignore[no-untyped-call]
        return flat.reshape(*x.shape[:-1], self.out_features)


class ChannelsLastConv2d(nn.Conv2d):
    """A convolution that reads and writes maps with their channels last in memory."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(channels_last(x))


class ChannelsLastConvTranspose2d(nn.ConvTranspose2d):
    """A transposed convolution that reads and writes maps with their channels last in memory."""

    def forward(self, x: Tensor, output_size: list[int] | None = None) -> Tensor:
        return super().forward(channels_last(x), output_size)


def channels_last(x: Tensor) -> Tensor:
    return x.contiguous(memory_format=torch.channels_last) if x.dim() == 4 else x


class Doubling(nn.Sequential):
    """A sequence in which a nearest upsampling by 2 and the 3x3 convolution after it are one transposed convolution."""

    def forward(self, x: Any) -> Any:
        layers: Iterable[nn.Module] = iter(self)
        before: nn.Module | None = None
        for layer in layers:
            if before is not None:
                x = doubled(x, cast(nn.Conv2d, layer)) if doubles(before, layer, x) else layer(before(x))
                before = None
            elif doubler(layer):
                before = layer
            else:
                x = layer(x)
        return x if before is None else before(x)


def doubler(layer: nn.Module) -> bool:
    """A nearest upsampling by 2."""
    if not isinstance(layer, nn.Upsample) or layer.size is not None:
        return False
    return layer.scale_factor in (2, (2, 2)) and layer.mode in ("nearest", "nearest-exact")


def fuses(before: nn.Module, layer: nn.Module) -> bool:
    """A nearest upsampling by 2, and a plain 3x3 convolution that keeps the size; neither is watched by hooks."""
    if not doubler(before) or not isinstance(layer, nn.Conv2d):
        return False
    plain = (layer.kernel_size, layer.stride, layer.dilation, layer.groups) == ((3, 3), (1, 1), (1, 1), 1)
    zeros = layer.padding in ("same", (1, 1)) and layer.padding_mode == "zeros"
    own = type(layer).forward in (nn.Conv2d.forward, ChannelsLastConv2d.forward)
    return plain and zeros and own and not any(m._forward_hooks or m._forward_pre_hooks for m in (before, layer))


def doubles(before: nn.Module, layer: nn.Module, x: object) -> bool:
    return isinstance(x, Tensor) and x.dim() == 4 and fuses(before, layer)


def doubled(x: Tensor, layer: nn.Conv2d) -> Tensor:
    """The convolution of the upsampled maps: (batch, in, h, w) -> (batch, out, 2h, 2w).

    Two upsampled pixels in a row are equal, so that kernel taps that meet one pixel add up: along each side the four
    taps of a transposed convolution of stride 2 are A w.
    """
    w = layer.weight
    side = torch.stack((w[:, :, 2], w[:, :, 1] + w[:, :, 2], w[:, :, 0] + w[:, :, 1], w[:, :, 0]), 2)
    kernel = torch.stack((side[..., 2], side[..., 1] + side[..., 2], side[..., 0] + side[..., 1], side[..., 0]), 3)
    x = channels_last(x) if isinstance(layer, ChannelsLastConv2d) else x
    return F.conv_transpose2d(x, kernel.transpose(0, 1), layer.bias, stride=2, padding=1)


def pairs(layers: nn.Sequential) -> bool:
    """Whether the sequence has an upsampling and a convolution that are one."""
    return type(layers).forward is nn.Sequential.forward and any(fuses(a, b) for a, b in pairwise(layers))
