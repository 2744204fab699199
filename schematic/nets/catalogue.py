"""The built-in networks as data, without torch: arguments, options, defaults, and what fits which shapes.

`inputs` and `output` are event shapes; a category is one-hot, its classes last. `kinds` and `target` are the types'
names (`real`, `unit`, `binary`, `category`, `domain`), which decide what a table can hold and what is an image.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

Shape = tuple[int, ...]
Value = int | float | str

TABLE_DEFAULT = 4096  # entries up to which a finite factor without a net has a table
TABLE_LIMIT = 1_000_000


@dataclass(frozen=True)
class Option:
    """A named option: a whole number of at least `least`."""

    name: str
    default: int
    least: int = 1
    odd: bool = False


@dataclass(frozen=True)
class NetKind:
    """One built-in network. `class_name` is its torch class; `Body` and `Head` beside it share a body."""

    name: str
    class_name: str
    argument: str  # the constructor's name for the positional arguments
    default: tuple[int, ...]
    many: bool = False  # any number of positional arguments, else exactly len(default)
    options: tuple[Option, ...] = ()
    images: bool = False  # some end is an image
    image_inputs: bool = False  # some parent is an image
    finite: bool = False  # every parent is finite
    example: str = ""


NETS: dict[str, NetKind] = {
    kind.name: kind
    for kind in (
        NetKind("mlp", "MLP", "hidden", (400, 400), many=True, example="mlp(400, 400)"),
        NetKind("linear", "Linear", "", (), example="linear"),
        NetKind(
            "conv", "Conv", "widths", (32, 64), many=True, options=(Option("kernel", 3, odd=True),), image_inputs=True,
            example="conv(32, 64, kernel: 3)",
        ),
        NetKind("dcgan", "DCGAN", "width", (64,), images=True, example="dcgan(64)"),
        NetKind(
            "resnet", "ResNet", "width", (64,), options=(Option("blocks", 6, least=0),), images=True,
            example="resnet(64, blocks: 6)",
        ),
        NetKind("patchgan", "PatchGAN", "width", (64,), image_inputs=True, example="patchgan(64)"),
        NetKind("table", "Table", "", (), finite=True, example="table"),
    )
}  # fmt: skip


# --- what is wrong with a net -----------------------------------------------------------------------------


def problem(
    kind: str,
    args: Sequence[Value],
    options: Sequence[tuple[str, Value]],
    inputs: Sequence[Shape],
    output: Shape,
    kinds: Sequence[str] | None = None,
    target: str = "real",
) -> str:
    """What is wrong with a built-in net between these ends, in a user's words; '' if nothing is."""
    net = NETS.get(kind)
    if net is None:
        return f"there is no network `{kind}`; networks: {', '.join(NETS)}"
    return argument_problem(kind, args, options) or shape_problem(kind, inputs, output, kinds)


def argument_problem(kind: str, args: Sequence[Value], options: Sequence[tuple[str, Value]]) -> str:
    """What is wrong with a built-in net's arguments and options, whatever its ends; '' if nothing is."""
    net = NETS[kind]
    for value in args:
        if not _whole(value) or int(value) < 1:
            return f"`{kind}` takes positive whole numbers, not {_show(value)}: `{net.example}`"
        if int(value) > TABLE_LIMIT:
            return f"{_show(value)} is too wide for a layer of `{kind}`"
    if args and not net.many and len(args) != len(net.default):
        count = "no number" if not net.default else "one number"
        return f"`{kind}` takes {count}, not {len(args)}: `{net.example}`"
    known = {option.name: option for option in net.options}
    seen: set[str] = set()
    for name, value in options:
        if name in seen:
            return f"`{name}` is given twice"
        seen.add(name)
        if name not in known:
            names = f"its option is `{net.options[0].name}`" if net.options else "it has no options"
            return f"`{kind}` has no option `{name}`; {names}"
        if message := _option_problem(kind, known[name], value):
            return message
    return ""


def _option_problem(kind: str, option: Option, value: Value) -> str:
    if not _whole(value) or int(value) < option.least or int(value) > 1000:
        return f"`{option.name}` of `{kind}` is a whole number from {option.least} to 1000, not {_show(value)}"
    if option.odd and int(value) % 2 == 0:
        return f"`{option.name}` of `{kind}` is odd, not {_show(value)}"
    return ""


def shape_problem(kind: str, inputs: Sequence[Shape], output: Shape, kinds: Sequence[str] | None = None) -> str:
    """What is wrong with a built-in net's ends; '' if nothing is."""
    net = NETS[kind]
    if net.image_inputs and not any(map(is_image, inputs)):
        return f"`{kind}` reads an image, (channels, height, width), and no parent is one"
    if net.images and not any(map(is_image, (*inputs, output))):
        return f"`{kind}` needs an image, (channels, height, width), at one of its ends"
    if net.finite:
        if kinds is None or any(k not in FINITE for k in kinds):
            return f"`{kind}` has an entry for every value of its parents, and a parent is not finite"
        if entries(inputs, output, kinds) > TABLE_LIMIT:
            return f"`{kind}` would have {_count(entries(inputs, output, kinds))} entries, more than {TABLE_LIMIT:,}"
    return ""


def _whole(value: Value) -> bool:
    return not isinstance(value, str) and float(value).is_integer()


def _show(value: Value) -> str:
    return f'"{value}"' if isinstance(value, str) else f"{value:g}" if isinstance(value, float) else str(value)


def _count(number: int) -> str:
    return f"{number:,}" if number < 10**12 else f"over {10**12:,}"


# --- shapes -----------------------------------------------------------------------------------------------

FINITE = frozenset(("binary", "category", "domain"))


def is_image(shape: Shape) -> bool:
    """(channels, height, width)."""
    return len(shape) == 3


def entries(inputs: Sequence[Shape], output: Shape, kinds: Sequence[str]) -> int:
    """Free parameters of a table: one for every joint value of the parents and element of the output."""
    values = (_values(shape, kind) for shape, kind in zip(inputs, kinds, strict=True))
    return prod(values) * prod(output)


def _values(shape: Shape, kind: str) -> int:
    """The number of values of a finite variable."""
    base, places = (2, prod(shape)) if kind in ("binary", "domain") else (shape[-1], prod(shape[:-1]))
    return int(base ** min(places, 64))


def features(
    kind: str, args: Sequence[Value], options: Sequence[tuple[str, Value]], inputs: Sequence[Shape],
    kinds: Sequence[str] | None = None,
) -> Shape:  # fmt: skip
    """The event shape of a body's features, which `then` hands to the next net."""
    values, _ = settings(kind, args, options)
    images = [shape for shape in inputs if is_image(shape)]
    match kind:
        case "mlp":
            return values[-1:]
        case "linear":
            return (sum(map(prod, inputs)) if inputs else 1,)
        case "conv":
            return (values[-1], *_halved(images[0][1:], len(values)))
        case "patchgan":
            return (4 * values[0], *_halved(images[0][1:], 2))
        case "resnet" if images:
            levels = min(2, levels_of(images[0][1:]))
            return (values[0] * 2**levels, *_halved(images[0][1:], levels))
        case "table":
            return (entries(inputs, (), kinds or ()),)
        case _:
            return (4 * values[0],)


def levels_of(size: Shape) -> int:
    """How often a `dcgan` halves an image, rounding up: once at least, then until both sides are at most 7."""
    levels = 1
    while max(_halved(size, levels)) > 7:
        levels += 1
    return levels


def _halved(size: Shape, times: int) -> Shape:
    return tuple(-(-n // 2**times) for n in size)


# --- defaults and settings --------------------------------------------------------------------------------


def default(inputs: Sequence[Shape], output: Shape, kinds: Sequence[str], target: str) -> tuple[str, tuple[int, ...]]:
    """The kind and arguments of the net between ends that name none: image to image `resnet(64)`, one image end
    `dcgan(64)`, all ends finite and at most 4096 entries `table`, else `mlp(400, 400)`."""
    image = any(is_image(s) and kind != "category" for s, kind in zip(inputs, kinds, strict=True))
    to_image = is_image(output) and target != "category"
    if image or to_image:
        return ("resnet" if image and to_image else "dcgan", (64,))
    if {*kinds, target} <= FINITE and entries(inputs, output, kinds) <= TABLE_DEFAULT:
        return ("table", ())
    return ("mlp", NETS["mlp"].default)


def settings(
    kind: str, args: Sequence[Value], options: Sequence[tuple[str, Value]]
) -> tuple[tuple[int, ...], tuple[tuple[str, int], ...]]:
    """Arguments and options with the defaults filled in."""
    net = NETS[kind]
    given = dict(options)
    values = tuple(int(a) for a in args) or net.default
    return values, tuple((o.name, int(given.get(o.name, o.default))) for o in net.options)
