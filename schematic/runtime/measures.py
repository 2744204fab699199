"""What can be measured of a run: each measure maps a program to named values, so that step 0 is measured alike.

Which measures there are follows from the graph and the data, by rule: a bound where there is one, a classifier's view
of what is generated where records have labels, accuracy where a category that data label is predicted, the error of
the way through inference and generation and back.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict
from math import log
from statistics import fmean

import torch
from torch import Tensor

from schematic.graph.model import AnyModel, Variable
from schematic.runtime import bounds, classifier, data
from schematic.runtime.data import Batch
from schematic.runtime.errors import RunError
from schematic.runtime.fields import Field
from schematic.runtime.pictures import is_image
from schematic.runtime.program import Program
from schematic.runtime.routes import Route, Values, clusters, follow, predictions, round_trips, terms
from schematic.runtime.sample import Trained
from schematic.runtime.samples import generate, seeded
from schematic.runtime.sources import bound as bound_sources

CPU = torch.device("cpu")
CHUNK = 500  # records at a time
PAIRS = 1000  # records that are sent on a round trip, at most

Row = tuple[str, float, str]  # name, value, unit
Measure = Callable[[Program], list[Row]]
Trip = tuple[Route, Batch]  # and its records by variable


# --- bounds -------------------------------------------------------------------------------------------------


def of_bounds(trained: Trained, model: AnyModel, ks: Sequence[int], n: int | None, seed: int) -> list[Measure]:
    """`elbo`, `iw_bound_K` for each K draws and for the model's own number of them, and both in bits per dimension.

    Without latent variables it is `log_likelihood`. n: of the first n held-out records, None: of all. The unit says
    whether the records are grey, whose Bernoulli density is a cross-entropy, or bits.
    """
    found = bounds.evidence(model)
    if found is None:
        return []
    held_out = trained.held_out(min(n or trained.records, trained.records), CPU)
    scored = [held_out[trained.program.DATA[v.name]] for v in found.scored]
    unit = "nats per example" + _grey(found.scored, scored)
    own = [m.importance for m in terms(model) if m.importance]
    plans: list[tuple[str, int | None]] = [("elbo" if found.latent else "log_likelihood", None)]
    if found.latent:
        plans += [(f"iw_bound_{k}", k) for k in dict.fromkeys((*own, *ks))]

    def measure(program: Program) -> list[Row]:
        rows: list[Row] = []
        for name, k in plans:
            value = bounds.estimate(found, program, held_out, k, seed)
            if value is not None:
                bits = -value / (found.dimensions * log(2))
                rows += [(name, value, unit), (f"{name}_bits", bits, "bits per dimension")]
        return rows

    return [measure]


def _grey(variables: Iterable[Variable], tensors: Iterable[Tensor]) -> str:
    images = [t for v, t in zip(variables, tensors, strict=True) if v.type.kind in ("unit", "binary")]
    if not images:
        return ""
    return ", binarized" if all(bool(((t == 0) | (t == 1)).all()) for t in images) else ", grey"


# --- samples ------------------------------------------------------------------------------------------------


def of_samples(trained: Trained, n: int, seed: int) -> list[Measure]:
    """A classifier's view of n samples of the first generated image whose set has labels (paper, section 4).

    `conditional_accuracy` where the class is given, or drawn beside the image: the share in which it is seen.
    """
    program = trained.program
    batch = trained.held_out(n, trained.device) if program.CONDITIONS else {}
    drawn = generate(program, 2, {f: t[:2] for f, t in batch.items()}, seed)
    subject = _subject(trained, drawn)
    if subject is None:
        return []
    name, asked, known = subject
    net = classifier.cached(known.train["image"], known.train["label"])
    own = classifier.accuracy(net, known.test)

    def measure(program: Program) -> list[Row]:
        values = generate(program, n, batch, seed)
        images = values[name].cpu()
        rows = _judged(net, images, known.train)
        if program is trained.program:
            rows.append(("classifier_accuracy", own, "share of held-out records"))
        if asked:
            classes = batch[program.DATA[asked]] if asked in program.CONDITIONS else values[asked]
            share = classifier.accuracy(net, {"image": images, "label": classes.cpu()})
            rows.insert(0, ("conditional_accuracy", share, "share of samples seen as asked"))
        return rows

    return [measure]


def _subject(trained: Trained, drawn: Values) -> tuple[str, str | None, data.Labelled] | None:
    """The first generated image whose set has labels, the class that goes with it, and the records."""
    program = trained.program
    for name, field in program.DATA.items():
        if name in drawn and is_image(program.FIELDS[field]):
            asked = _class_beside(program, field, drawn)
            array = program.DATA[asked].rpartition("/")[2] if asked else "label"
            try:
                return name, asked, labelled(trained, field, array)
            except RunError:
                continue
    return None


def _class_beside(program: Program, field: str, drawn: Values) -> str | None:
    """The category of the image's set that is given to `sample`, or drawn by it."""
    home = field.rpartition("/")[0]
    for name, other in program.DATA.items():
        category = program.TYPES[other] == "category" and len(program.FIELDS[other]) == 1
        if category and other.rpartition("/")[0] == home and (name in program.CONDITIONS or name in drawn):
            return name
    return None


def labelled(trained: Trained, field: str, array: str) -> data.Labelled:
    """The records of an image field's set with their labels. Raises RunError where it has none."""
    program = trained.program
    image = Field(field, program.FIELDS[field], program.TYPES[field])
    return data.labelled(trained.data, image, [f.rpartition("/")[0] for f in program.FIELDS], array)


UNITS = {
    "inception_score": "1 to the number of classes",
    "frechet": "squared distance of the classifier's features",
    "top_probability": "mean of the largest class probability",
    "largest_share": "share of samples",
    "smallest_share": "share of samples",
}


def _judged(net: classifier.Classifier, images: Tensor, real: Batch) -> list[Row]:
    units = {**UNITS, "modes": f"of {real['label'].shape[1]} classes"}
    return [(name, float(value), units[name]) for name, value in asdict(classifier.judge(net, images, real)).items()]


# --- predictions --------------------------------------------------------------------------------------------


def of_predictions(trained: Trained, model: AnyModel) -> list[Measure]:
    """`accuracy` of every category that data label and that is predicted from the rest of the record, by set.

    A domain whose labels the model never reads is judged where its set has them (domain adaptation).
    """
    routes, found = predictions(model), list[Measure]()
    for route in routes:
        target = f"_{route.target.name}" if len(routes) > 1 else ""
        domains = max(len(v.data.fields) if v.data else 0 for v in route.reads)
        for i in range(domains):
            try:
                where, records = _labelled_domain(trained, route, i)
            except RunError:
                continue
            found.append(_accuracy(f"accuracy{target}" + (f"_{where}" if domains > 1 else ""), route, records))
    return found


def _labelled_domain(trained: Trained, route: Route, i: int) -> tuple[str, Batch]:
    """The set of the route's variables in the i-th domain, and its held-out records by variable.

    Raises RunError where they are of several sets, or the set has no such label.
    """
    fields = {v.name: _field(v, i) for v in (*route.reads, route.target)}
    home, *others = {fields[v.name].rpartition("/")[0] for v in route.reads}
    if others:
        raise RunError("the records are of several sets")
    label = f"{home}/{fields[route.target.name].rpartition('/')[2]}".lstrip("/")
    fields[route.target.name] = label
    source = bound_sources([f.rpartition("/")[0] for f in trained.program.FIELDS], trained.data)[home]
    shapes = {fields[v.name]: v.type.event_shape for v in (*route.reads, route.target)}
    kinds = {fields[v.name]: v.type.kind for v in (*route.reads, route.target)}
    (found,) = data.load([(home, source)], shapes, kinds, [label])
    part: Batch = getattr(found, trained.split)
    if not part:
        raise RunError(f"{found.origin} has no {trained.split} split")
    known = part[f"{label}_observed"]
    return home, {name: part[field][known] for name, field in fields.items()}


def _field(v: Variable, i: int) -> str:
    assert v.data is not None, "a route reads records and predicts what they have"
    return v.data.fields[i if len(v.data.fields) > 1 else 0]


def _accuracy(name: str, route: Route, records: Batch) -> Measure:
    def measure(program: Program) -> list[Row]:
        found = _followed(program, route, records)[route.target.name].argmax(1)
        right = (found == records[route.target.name].argmax(1)).float().mean()
        return [(name, float(right), "share of held-out records")]

    return measure


def of_clusters(trained: Trained, model: AnyModel) -> list[Measure]:
    """`purity` of every category that nothing labels, where the records have labels: the share of held-out records
    whose label is the most frequent one of their class."""
    routes, found = clusters(model), list[Measure]()
    for route in routes:
        image = next((v for v in route.reads if is_image(v.type.event_shape)), None)
        if image is None or len(route.reads) > 1:
            continue
        try:
            known = labelled(trained, _field(image, 0), "label").test
        except RunError:
            continue
        found.append(_purity("purity" + (f"_{route.target.name}" if len(routes) > 1 else ""), route, image, known))
    return found


def _purity(name: str, route: Route, image: Variable, known: Batch) -> Measure:
    def measure(program: Program) -> list[Row]:
        classes = _followed(program, route, {image.name: known["image"]})[route.target.name]
        chosen = torch.nn.functional.one_hot(classes.argmax(1), classes.shape[1]).float()
        counts = chosen.T @ known["label"]
        return [(name, float(counts.max(1).values.sum() / counts.sum()), "share of held-out records")]

    return measure


# --- round trips ---------------------------------------------------------------------------------------------


def of_round_trips(trained: Trained, model: AnyModel, seed: int) -> list[Measure]:
    """`reconstruction_error` of what is inferred from, or generated of, a record and brought back; of several
    variables their mean and each one's.

    Where the way leads through another set's pictures, `translated_V` is the share of these that a classifier of the
    two sets takes for pictures of that set.
    """
    routes, trips, found = round_trips(model), list[Trip](), list[Measure]()
    held_out = trained.held_out(min(PAIRS, trained.records), CPU) if routes else {}
    for route in routes:
        records = {v.name: held_out[trained.program.DATA[v.name]] for v in (*route.reads, route.target)}
        trips.append((route, records))
        found += [
            _translated(trained, route, route.graph.variable(v), records)
            for v in route.way
            if _another_set(route.target, route.graph.variable(v))
        ]
    return [_errors(trips, seed), *found] if trips else []


def _errors(trips: Sequence[Trip], seed: int) -> Measure:
    def measure(program: Program) -> list[Row]:
        errors = {}
        for route, records in trips:
            with seeded(seed, CPU):
                back = _followed(program, route, records)[route.target.name]
            errors[route.target.name] = float((back - records[route.target.name]).abs().mean())
        rows = {"reconstruction_error": fmean(errors.values())}
        if len(errors) > 1:
            rows |= {f"reconstruction_error_{name}": error for name, error in errors.items()}
        return [(name, error, "mean absolute error per dimension") for name, error in rows.items()]

    return measure


def _another_set(v: Variable, u: Variable) -> bool:
    alike = v.type.event_shape == u.type.event_shape and is_image(v.type.event_shape)
    return alike and v.data is not None and u.data is not None and not set(v.data.sets) & set(u.data.sets)


def _translated(trained: Trained, route: Route, into: Variable, records: Batch) -> Measure:
    """The classifier of the two sets is trained on their training records."""
    fields = [trained.program.DATA[v.name] for v in (route.target, into)]
    train = {f: t for s in trained.sets() for f, t in s.train.items()}
    parts = [train[f] for f in fields]
    classes = torch.eye(2).repeat_interleave(torch.tensor([len(p) for p in parts]), 0)
    net = classifier.cached(torch.cat(parts), classes)

    def measure(program: Program) -> list[Row]:
        made = _followed(program, route, records)[into.name]
        share = classifier.accuracy(net, {"image": made, "label": torch.eye(2)[1:].expand(len(made), 2)})
        return [(f"translated_{into.name}", share, f"share taken for {into.name}")]

    return measure


def _followed(program: Program, route: Route, records: Batch) -> Values:
    """`follow`, some records at a time, on the program's device and back."""
    device, size = next(program.parameters()).device, len(next(iter(records.values())))
    parts = [
        follow(program, route, {v: t[at : at + CHUNK].to(device) for v, t in records.items()})
        for at in range(0, size, CHUNK)
    ]
    return {name: torch.cat([part[name].cpu() for part in parts]) for name in parts[0]}
