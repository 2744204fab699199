"""The text of the networks for an emitted program, copied from the modules here by their syntax tree. No torch.

How a program writes a network (`inputs` are event shapes in the order of the call):

    MLP(inputs=((16,),), output=(1, 8, 8), hidden=(400, 400))        a net of its own: `construct`
    self.D = MLPBody(inputs=((1, 8, 8),), hidden=(400,))             a declared net's body: `construct_body`
    Net(self.D, FlatHead(self.D.features, ()))                       a factor that uses it: `construct_head`
    body = Chain(self.D, MLPBody(inputs=(self.D.features,), hidden=(128,)))      `D then mlp(128)`
    Net(body, FlatHead(body.features, (10,)))
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Sequence
from functools import cache
from importlib import resources

from schematic.nets.catalogue import NETS, Shape, Value, is_image, settings

OURS = ("schematic", "__future__")
MODULES = ("net", "linear", "mlp", "conv", "dcgan", "resnet", "patchgan", "table")  # definitions before their uses


@cache
def _definitions() -> dict[str, tuple[str, frozenset[str]]]:
    """Every top-level definition of the network modules: its text and the names in it."""
    found: dict[str, tuple[str, frozenset[str]]] = {}
    for module in MODULES:
        text = resources.files("schematic.nets").joinpath(f"{module}.py").read_text(encoding="utf-8")
        for node in ast.parse(text).body:
            match node:
                case ast.ClassDef(name=name) | ast.FunctionDef(name=name):
                    pass
                case ast.Assign(targets=[ast.Name(id=name)]):
                    pass
                case _:
                    continue
            lines = text.splitlines()[node.lineno - 1 : node.end_lineno]
            names = frozenset(n.id for n in ast.walk(node) if isinstance(n, ast.Name))
            found[name] = (re.sub(r"  # type: ignore\S*", "", "\n".join(lines)), names)
    return found


@cache
def _imported() -> dict[str, tuple[str, str]]:
    """Each outside name that the network modules use: where it is imported from ('' for a module), and as what."""
    found: dict[str, tuple[str, str]] = {}
    for module in MODULES:
        text = resources.files("schematic.nets").joinpath(f"{module}.py").read_text(encoding="utf-8")
        for node in ast.parse(text).body:
            match node:
                case ast.ImportFrom(module=origin, names=aliases) if origin and not origin.startswith(OURS):
                    found.update((a.name, (origin, a.name)) for a in aliases)
                case ast.Import(names=aliases):
                    found.update((a.asname or a.name, ("", _alias(a))) for a in aliases)
                case _:
                    pass
    return found


def _alias(name: ast.alias) -> str:
    return f"{name.name} as {name.asname}" if name.asname else name.name


def needed(kinds: Iterable[str]) -> tuple[str, ...]:
    """The names of all definitions that kinds (`mlp`) or classes (`MLPBody`) need, in the order of their text."""
    known, wanted = _definitions(), set[str]()
    open_names = [NETS[kind].class_name if kind in NETS else kind for kind in kinds]
    while open_names:
        name = open_names.pop()
        if name in known and name not in wanted:
            wanted.add(name)
            open_names.extend(known[name][1])
    return tuple(name for name in known if name in wanted)


def source(kinds: Iterable[str]) -> str:
    """The definitions that kinds (`mlp`) or classes (`Chain`) need: the text of classes and functions, with the two
    blank lines between them, without imports (`imports` has those)."""
    parts = [_definitions()[name][0] for name in needed(kinds)]
    text = ""
    for before, part in zip([None, *parts], parts, strict=False):
        text += ("\n\n\n" if before is not None else "") + part
    return text + "\n" if text else ""


def imports(kinds: Iterable[str]) -> tuple[str, ...]:
    """The import lines that `source(kinds)` needs: `from math import prod`, `import torch`, ..."""
    names = {n for name in needed(kinds) for n in _definitions()[name][1]}
    origins: dict[str, list[str]] = {}
    for name, (origin, written) in sorted(_imported().items()):
        if name in names:
            origins.setdefault(origin, []).append(written)
    modules = [f"import {name}" for name in sorted(origins.pop("", []))]
    return (*modules, *(f"from {origin} import {', '.join(found)}" for origin, found in sorted(origins.items())))


# --- construction -----------------------------------------------------------------------------------------


def construct(
    kind: str, args: Sequence[Value], options: Sequence[tuple[str, Value]], inputs: Sequence[Shape], output: Shape,
    kinds: Sequence[str] | None = None,
) -> str:  # fmt: skip
    """The expression that makes a net of its own: `MLP(inputs=((16,),), output=(1, 8, 8), hidden=(400, 400))`."""
    shapes = f"inputs={tuple(inputs)!r}, output={output!r}"
    return f"{NETS[kind].class_name}({', '.join((shapes, *_settings(kind, args, options, inputs, kinds)))})"


def construct_body(
    kind: str, args: Sequence[Value], options: Sequence[tuple[str, Value]], inputs: Sequence[Shape] | str,
    kinds: Sequence[str] | None = None,
) -> str:  # fmt: skip
    """The expression that makes a shared body; `inputs` may be code, as `(self.D.features,)` after `then`."""
    shapes = inputs if isinstance(inputs, str) else repr(tuple(inputs))
    known = () if isinstance(inputs, str) else inputs
    return f"{body_class(kind)}({', '.join((f'inputs={shapes}', *_settings(kind, args, options, known, kinds)))})"


def construct_head(
    kind: str, args: Sequence[Value], options: Sequence[tuple[str, Value]], body: str, output: Shape
) -> str:
    """The expression that makes a head for one target on `body`, a name in the emitted code."""
    name = head_class(kind, output)
    extra = _settings(kind, args, options, (), None) if name in ("DCGANHead", "ResNetHead") else ()
    return f"{name}({', '.join((f'{body}.features', repr(output), *extra))})"


def body_class(kind: str) -> str:
    return "Join" if kind == "linear" else f"{NETS[kind].class_name}Body"


def head_class(kind: str, output: Shape) -> str:
    """The class of a head: transposed convolutions where a `dcgan` or `resnet` ends in an image, else a linear map."""
    match kind:
        case "dcgan" | "resnet" if is_image(output):
            return f"{NETS[kind].class_name}Head"
        case "patchgan":
            return "PoolHead"
        case "table":
            return "TableHead"
        case _:
            return "FlatHead"


def _settings(
    kind: str, args: Sequence[Value], options: Sequence[tuple[str, Value]], inputs: Sequence[Shape],
    kinds: Sequence[str] | None,
) -> tuple[str, ...]:  # fmt: skip
    """The constructor's arguments after the shapes, as code."""
    net = NETS[kind]
    values, named = settings(kind, args, options)
    if kind == "table":
        bits = tuple(k != "category" for k in kinds or ())
        return (f"bits={bits!r}",)
    first = (f"{net.argument}={values!r}" if net.many else f"{net.argument}={values[0]}",) if values else ()
    return (*first, *(f"{name}={value}" for name, value in named))
