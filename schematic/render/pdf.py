"""A scene as PDF 1.4: one page, vectors only, no fonts; the same bytes everywhere."""

from __future__ import annotations

import zlib
from collections.abc import Iterator

from schematic.render.glyphs import Command
from schematic.render.scene import DASH, Scene, Shape, Text
from schematic.render.svg import LIGHT, number

POINTS = 0.75
"""Points in a CSS pixel."""


def write(scene: Scene) -> bytes:
    box = scene.extent
    width, height = ((box.right - box.left) * POINTS, (box.bottom - box.top) * POINTS)
    # PDF's y points up.
    place = f"{POINTS} 0 0 {-POINTS} {number(-box.left * POINTS)} {number(box.bottom * POINTS)} cm"
    items = [item for group in scene.groups for item in group.items]
    content = "\n".join([place, "1 J 1 j", *(line for item in items for line in _item(item))]).encode("ascii")
    packed = zlib.compress(content, 9)
    return _file(
        [
            b"<< /Type /Catalog /Pages 2 0 R >>",
            b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
            f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 {number(width)} {number(height)}] ".encode()
            + b"/Contents 4 0 R /Resources << >> >>",
            f"<< /Length {len(packed)} /Filter /FlateDecode >>\nstream\n".encode() + packed + b"\nendstream",
            b"<< /Title " + _string(scene.title) + b" /Producer (schematic) >>",
        ]
    )


def _file(objects: list[bytes]) -> bytes:
    out = bytearray(b"%PDF-1.4\n%\xe2\xe3\xcf\xd3\n")
    starts = []
    for n, body in enumerate(objects, 1):
        starts.append(len(out))
        out += b"%d 0 obj\n" % n + body + b"\nendobj\n"
    table = len(out)
    out += b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    out += b"".join(b"%010d 00000 n \n" % s for s in starts)
    out += b"trailer\n<< /Size %d /Root 1 0 R /Info %d 0 R >>\n" % (len(objects) + 1, len(objects))
    return bytes(out + b"startxref\n%d\n%%%%EOF\n" % table)


def _string(text: str) -> bytes:
    return b"<" + (b"\xfe\xff" + text.encode("utf-16-be")).hex().encode() + b">"


def _item(item: Shape | Text) -> Iterator[str]:
    match item:
        case Text(outline, ink):
            yield from (f"{_colour(LIGHT[ink])} rg", *_path(outline), "f")
        case Shape(outline, stroke, fill, width, dashed):
            if fill:
                yield f"{_colour(LIGHT[fill])} rg"
            if stroke:
                dash = f"[{number(DASH[0])} {number(DASH[1])}] 0 d 0 J" if dashed else "[] 0 d 1 J"
                yield f"{_colour(LIGHT[stroke])} RG {number(width)} w {dash}"
            yield from _path(outline)
            yield {(True, True): "B", (True, False): "S", (False, True): "f"}[bool(stroke), bool(fill)]


def _colour(name: str) -> str:
    return " ".join(number(int(name[i : i + 2], 16) / 255) for i in (1, 3, 5))


def _path(outline: tuple[Command, ...]) -> Iterator[str]:
    here = (0.0, 0.0)
    for letter, v in outline:
        match letter:
            case "M" | "L":
                yield f"{number(v[0])} {number(v[1])} {letter.lower()}"
            case "C":
                yield " ".join(map(number, v)) + " c"
            case "Q":  # a quadratic curve is the cubic one with its control point two thirds of the way
                c = [here[i % 2] + 2 / 3 * (v[i] - here[i]) for i in (0, 1)]
                d = [v[2 + i] + 2 / 3 * (v[i] - v[2 + i]) for i in (0, 1)]
                yield " ".join(map(number, (*c, *d, v[2], v[3]))) + " c"
            case _:
                yield "h"
        here = (v[-2], v[-1]) if v else here
