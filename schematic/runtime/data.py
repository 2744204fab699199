"""A model's data: its sets, read, fitted to its fields, and on the device when they fit there."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from schematic.core.names import did_you_mean
from schematic.runtime import partial as partly
from schematic.runtime.errors import RunError
from schematic.runtime.fields import GREY, Field, Shape, fit, white_of
from schematic.runtime.reading import read
from schematic.runtime.sources import OPTIONS, Data, Source, bound, parse
from schematic.runtime.splits import SPLITS, RawSet, Split

Batch = dict[str, Tensor]
Masks = Mapping[Split, partly.Mask]
RESIDENT = 0.5  # of an accelerator's free memory may be taken by the data
PARTIAL = 't : category(10) = data("label") partial'


@dataclass(frozen=True)
class DataSet:
    """One set's tensors by the model's field names ("horses/image"), (records, *event shape), and their origin.

    A field of which some records are known has beside it a mask, `label_observed` (records,). `dynamic` are the
    fields whose training part holds grey values, of which a batch draws bits. `notes` tell what was done to the set.
    """

    name: str
    origin: str
    train: Batch
    test: Batch
    validation: Batch = field(default_factory=dict)
    dynamic: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def records(self) -> int:
        return len(next(iter(self.train.values())))

    def __str__(self) -> str:
        """What a run's log says of it."""
        splits = {s: getattr(self, s) for s in SPLITS}
        sizes = ", ".join(f"{len(next(iter(part.values())))} {split}" for split, part in splits.items() if part)
        return "; ".join((f"{self.origin}: {sizes} records", *self.notes))

    def to(self, where: torch.device | torch.dtype) -> DataSet:
        """The same on a device, or in another precision."""
        train, test, validation = (
            {f: t.to(where) for f, t in part.items()} for part in (self.train, self.test, self.validation)
        )
        return replace(self, train=train, test=test, validation=validation)


# --- what a model reads -----------------------------------------------------------------------------------


def sources(
    fields: Mapping[str, Shape],
    kinds: Mapping[str, str],
    partial: Collection[str],
    *settings: Data | None,
    labels: str = "",
    binarize: str = "",
) -> tuple[tuple[str, str], ...]:
    """(set, source) for each set that a model reads, written out in full; later settings go before earlier ones.

    `labels` is for the sets with a partial field, `binarize` for those with grey ones. Raises RunError.
    """
    for option, value in (("labels", labels), ("binarize", binarize)):
        if value and not OPTIONS[option].holds(value):
            raise RunError(f"--{option} {value}: write {OPTIONS[option].words}")
    found = {name: parse(text) for name, text in bound((_set(f) for f in fields), *settings).items()}
    grey = [f for f in fields if kinds.get(f) in GREY]
    if labels and not partial:
        raise RunError(f"--labels {labels}: no variable of the model is `partial`", PARTIAL)
    if binarize and not grey:
        raise RunError(f"--binarize {binarize}: the model reads no binary or unit field")
    if labels:
        found |= {_set(f): replace(found[_set(f)], labels=labels) for f in partial}
    if binarize:
        found |= {_set(f): replace(found[_set(f)], binarize=binarize) for f in grey}  # type: ignore[arg-type]
    return tuple((name, str(source)) for name, source in found.items())


def _set(field: str) -> str:
    return field.rpartition("/")[0]


def load(
    data: Data,
    fields: Mapping[str, Shape],
    kinds: Mapping[str, str] | None = None,
    partial: Collection[str] = (),
) -> tuple[DataSet, ...]:
    """The sets that a model reads, fitted to its FIELDS. Raises RunError with everything that was found wrong."""
    wanted: dict[str, list[Field]] = {}
    for name, shape in fields.items():
        wanted.setdefault(_set(name), []).append(Field(name, tuple(shape), (kinds or {}).get(name, "")))
    texts = bound(wanted, data)
    sets, errors = list[DataSet](), list[RunError]()
    for name, members in wanted.items():
        try:
            sets.append(_fitted(name, parse(texts[name]), members, partial))
        except RunError as e:
            errors.append(RunError(f"set `{name}`: {e.message}", e.help) if name else e)
    if len(errors) == 1:
        raise errors[0]
    if errors:
        raise RunError("\n".join(map(str, errors)))
    return tuple(sets)


def _fitted(name: str, source: Source, fields: Sequence[Field], partial: Collection[str]) -> DataSet:
    _check_options(source, fields, partial)
    raw = read(source, [f.array for f in fields], [f.array for f in fields if f.kind == "category"])
    parts: dict[Split, Batch] = {split: {} for split in SPLITS}
    notes: list[str] = []
    for f in fields:
        masks: Masks = _masks(raw, source, f) if f.name in partial else {}
        tensors = _tensors(raw, source, f, masks)
        for split, values in tensors.items():
            parts[split][f.name] = values
            if masks:
                parts[split][f"{f.name}_observed"] = torch.from_numpy(masks[split])
        notes += _notes(source, f, masks)
    origin = f"set `{name}` ({raw.origin})" if name else f"set {raw.origin}"
    dynamic = tuple(f.name for f in fields if source.binarize == "dynamic" and f.kind in GREY)
    return DataSet(name, origin, parts["train"], parts["test"], parts["validation"], dynamic, tuple(notes))


def _check_options(source: Source, fields: Sequence[Field], partial: Collection[str]) -> None:
    """Raises RunError for options that none of the fields can have."""
    known = [f.array for f in fields]
    for array, _ in source.arrays:
        if array not in known:
            others = f"fields: {', '.join(known)}; options: {', '.join(OPTIONS)}"
            raise RunError(
                f"`#{array}=`: neither an option, nor a field that the model reads of {source.path}",
                did_you_mean(array, [*known, *OPTIONS]) or others,
            )
    if source.labels and not any(f.name in partial for f in fields):
        raise RunError(f"labels={source.labels}: the model reads no `partial` field of {source.path}", PARTIAL)
    if source.binarize and not any(f.kind in GREY for f in fields):
        raise RunError(f"binarize={source.binarize}: the model reads no binary or unit field of {source.path}")


def _masks(raw: RawSet, source: Source, f: Field) -> Masks:
    """Which records of a partial field are observed: all that are known, of training records those that are asked."""
    masks: dict[Split, partly.Mask] = {split: partly.known(arrays[f.array], f) for split, arrays in raw.splits()}
    if source.labels:
        where = f"{raw.origin}: field `{f.name}`"
        masks["train"] = partly.chosen(raw.train[f.array], masks["train"], f, source.labels, source.seed, where)
    return masks


def _tensors(raw: RawSet, source: Source, f: Field, masks: Masks) -> dict[Split, Tensor]:
    """The field's tensor by split: as it is in the file, or bits drawn from its grey values."""
    bits = source.binarize if f.kind in GREY else ""
    grey = replace(f, kind="unit") if bits else f
    white = raw.white or white_of(raw.train[f.array], grey, raw.origin)
    found: dict[Split, Tensor] = {}
    for i, (split, arrays) in enumerate(raw.splits()):
        array = arrays[f.array]
        array = partly.filled(array, masks[split], f) if masks else array
        values = fit(array, grey, raw.origin, white)
        if bits and not (bits == "dynamic" and split == "train"):
            values = torch.bernoulli(values, generator=torch.Generator().manual_seed(len(SPLITS) * source.seed + i))
        found[split] = values
    return found


def _notes(source: Source, f: Field, masks: Masks) -> list[str]:
    notes = []
    if masks:
        seen, records = int(masks["train"].sum()), len(masks["train"])
        drawn = f", drawn class by class with seed {source.seed}" if source.labels else ""
        notes.append(f"`{f.name}` is observed in {seen} of {records} training records{drawn}")
    if source.binarize and f.kind in GREY:
        when = {"dynamic": "afresh for every training batch, once for held-out records", "fixed": "once"}
        notes.append(f"`{f.name}` is bits drawn from its grey values, {when[source.binarize]}, with seed {source.seed}")
    return notes


@dataclass(frozen=True)
class Labelled:
    """Records {"image", "label"} for a classifier, in the two splits that every set has."""

    train: Batch
    test: Batch


def labelled(data: Data, image: Field, sets: Collection[str], array: str = "label") -> Labelled:
    """The records of an image field's set with all their known labels, which the model may not read.

    `sets` are those of the model; `array` holds the labels. Raises RunError where the set has none.
    """
    source = parse(bound(sets, data)[_set(image.name)])
    raw = read(source, [image.array, array], [array])
    label = Field(array, (max(partly.number_of_classes(arrays[array]) for _, arrays in raw.splits()),), "category")
    masks = {split: partly.known(arrays[array], label) for split, arrays in raw.splits()}
    train, test = ({f: a[masks[s]] for f, a in arrays.items()} for s, arrays in raw.splits() if s != "validation")
    raw = replace(raw, train=train, test=test, validation={})
    images = _tensors(raw, replace(source, binarize=source.binarize and "fixed"), image, {})
    labels = _tensors(raw, source, label, {})
    return Labelled(*({"image": images[s], "label": labels[s]} for s in images))


def place(sets: Sequence[DataSet], device: torch.device) -> tuple[DataSet, ...]:
    """The sets on the device if they take at most RESIDENT of its free memory, else where they are."""
    size = sum(t.nbytes for s in sets for split in SPLITS for t in getattr(s, split).values())
    if device.type == "cuda" and size > RESIDENT * torch.cuda.mem_get_info(device)[0]:
        return tuple(sets)
    return tuple(s.to(device) for s in sets)
