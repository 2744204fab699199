"""Pictures without a plotting library: grids of images as PNG, curves as SVG."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Mapping, Sequence
from html import escape
from math import ceil, floor, isfinite, log10

import numpy as np

from schematic.runtime.idx import Array

Points = Sequence[tuple[float, float]]

COLORS = ("#1f4fd8", "#d1495b", "#2e8b57", "#b8860b", "#7b4fb5", "#3a8fa3")  # legible on white and on black
TILE = 64  # pixels of a small image's longer side, at least


def png(pixels: Array) -> bytes:
    """A PNG file of (height, width) grey or (height, width, 3) colour bytes (ISO/IEC 15948)."""
    height, width = pixels.shape[:2]
    rows = np.ascontiguousarray(pixels, np.uint8).reshape(height, -1)
    raw = np.concatenate([np.zeros((height, 1), np.uint8), rows], 1).tobytes()  # each row begins with its filter, 0

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 0 if pixels.ndim == 2 else 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(raw, 9)) + chunk(b"IEND", b"")


def is_image(shape: Sequence[int]) -> bool:
    """Whether an event shape can be shown: (1 or 3, height, width)."""
    return len(shape) == 3 and shape[0] in (1, 3) and min(shape[1:]) > 1


def grid(images: Array, columns: int) -> bytes:
    """A PNG of images (n, 1 or 3, height, width) in [0, 1], row by row; small ones enlarged without smoothing."""
    n, channels, height, width = images.shape
    zoom, rows = max(1, TILE // max(height, width)), ceil(n / columns)
    values = np.nan_to_num(np.clip(images, 0, 1)) * 255
    tiles = np.full((rows * columns, height * zoom + 2, width * zoom + 2, channels), 255, np.uint8)
    enlarged = values.round().astype(np.uint8).repeat(zoom, 2).repeat(zoom, 3)
    tiles[:n, 1:-1, 1:-1] = enlarged.transpose(0, 2, 3, 1)
    sheet = tiles.reshape(rows, columns, *tiles.shape[1:]).swapaxes(1, 2)
    sheet = sheet.reshape(rows * tiles.shape[1], columns * tiles.shape[2], channels)
    return png(sheet[..., 0] if channels == 1 else sheet)


def ticks(low: float, high: float, about: int = 5) -> list[float]:
    """Round numbers from low to high: multiples of 1, 2 or 5 times a power of ten."""
    span = max(high - low, 1e-12)
    power = 10.0 ** floor(log10(span / about))
    unit = next(m * power for m in (1, 2, 5, 10) if span / (m * power) <= about + 1e-9)
    return [k * unit for k in range(ceil(low / unit - 1e-9), floor(high / unit + 1e-9) + 1)]


def curves(series: Mapping[str, Points], title: str, x: str = "step", y: str = "nats per example") -> str:
    """An SVG of curves over one axis, one a panel, for light and dark pages: {name: [(x, y), ...]}.

    Each series has a panel of its own, since objectives differ in scale. Values that are not finite are left out.
    """
    width, height, left, top = 640, 150, 70, 34
    panels = []
    for i, (name, points) in enumerate(series.items()):
        known = [p for p in points if isfinite(p[1])]
        panels.append(_panel(name, known, COLORS[i % len(COLORS)], left, top + i * (height + 40), width - 90, height))
    total = top + len(panels) * (height + 40) + 16
    style = "text{font:12px sans-serif;fill:#222}.grid{stroke:#8884}@media(prefers-color-scheme:dark){text{fill:#ddd}}"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{total}" viewBox="0 0 {width} {total}">'
        f"<title>{escape(title)}</title><style>{style}</style>"
        f'<text x="{left}" y="18" font-weight="bold">{escape(title)}, {escape(y)}</text>{"".join(panels)}'
        f'<text x="{width - 20}" y="{total - 8}" text-anchor="end">{escape(x)}</text></svg>\n'
    )


def _panel(name: str, points: Points, color: str, left: int, top: int, width: int, height: int) -> str:
    label = f'<text x="{left}" y="{top + 12}" fill="{color}" style="fill:{color}">{escape(name)}</text>'
    if not points:
        return label
    xs, ys = [p[0] for p in points], [p[1] for p in points]
    (x0, x1), (y0, y1) = (min(xs), max(xs)), (min(ys), max(ys))
    x1, pad = (x1 if x1 > x0 else x0 + 1), ((y1 - y0) or abs(y0) or 1) * 0.05
    y0, y1, top, height = y0 - pad, y1 + pad, top + 18, height - 18

    def px(value: float) -> float:
        return left + (value - x0) / (x1 - x0) * width

    def py(value: float) -> float:
        return top + (y1 - value) / (y1 - y0) * height

    lines = [
        f'<line class="grid" x1="{left}" x2="{left + width}" y1="{py(t):.1f}" y2="{py(t):.1f}"/>'
        f'<text x="{left - 6}" y="{py(t) + 4:.1f}" text-anchor="end">{t:g}</text>'
        for t in ticks(y0, y1, 4)
    ]
    marks = [f'<text x="{px(t):.1f}" y="{top + height + 14}" text-anchor="middle">{t:g}</text>' for t in ticks(x0, x1)]
    path = " ".join(f"{px(a):.1f},{py(b):.1f}" for a, b in points)
    curve = f'<polyline fill="none" stroke="{color}" stroke-width="1.5" points="{path}"/>'
    return label + "".join(lines) + "".join(marks) + curve
