"""Labels for some records, and bits from grey values."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from schematic.runtime.batches import Batches
from schematic.runtime.data import labelled, load
from schematic.runtime.errors import RunError
from schematic.runtime.fields import Field
from schematic.runtime.partial import chosen, known

FIELDS = {"image": (1, 8, 8), "label": (10,)}
KINDS = {"image": "unit", "label": "category"}
LABEL = Field("label", (5,), "category")
CPU = torch.device("cpu")


@given(st.lists(st.integers(0, 4), min_size=20, max_size=80), st.integers(5, 20), st.integers(0, 9), st.booleans())
def test_labels_are_drawn_class_by_class_in_turn(classes: list[int], wanted: int, seed: int, one_hot: bool) -> None:
    numbers = np.array(classes)
    array = np.eye(5, dtype=np.uint8)[numbers] if one_hot else numbers
    seen = chosen(array, np.ones(len(array), np.bool_), LABEL, str(wanted), seed, "")
    have, took = np.bincount(numbers, minlength=5), np.bincount(numbers[seen], minlength=5)
    assert took.sum() == wanted
    for k in range(5):  # a class gives one less than another only if it has no more
        assert took[k] >= min(have[k], took.max() - 1)
    again = chosen(array, np.ones(len(array), np.bool_), LABEL, str(wanted), seed, "")
    assert (seen == again).all()


def test_another_seed_draws_other_labels() -> None:
    array, mask = np.arange(500) % 5, np.ones(500, np.bool_)
    drawn = [chosen(array, mask, LABEL, "10%", seed, "") for seed in range(2)]
    assert (drawn[0] != drawn[1]).any() and drawn[0].sum() == drawn[1].sum() == 50


def test_only_known_labels_are_drawn() -> None:
    array = np.where(np.arange(100) % 2, np.arange(100) % 5, -1)
    mask = known(array, LABEL)
    assert mask.sum() == 50
    assert not (chosen(array, mask, LABEL, "40", 0, "") & ~mask).any()
    for share, words in (("60", "only 50 are known"), ("3", "fewer than the 5 classes"), ("0%", "0 of 100")):
        with pytest.raises(RunError, match=words):
            chosen(array, mask, LABEL, share, 0, "f")


@pytest.mark.parametrize(
    ("array", "field"),
    [
        (np.array([3, -1, 0, -1]), LABEL),
        (np.array([3.0, np.nan, 0.0, -1.0]), LABEL),
        (np.array([[3], [-1], [0], [-1]]), LABEL),
        (np.eye(6, 5)[[3, 5, 0, 5]], LABEL),
        (np.array([[1.0, 2.0], [np.nan, 1.0], [-1.0, 0.0], [np.nan, np.nan]]), Field("z", (2,), "real")),
    ],
)
def test_how_a_record_says_that_it_lacks_a_value(array: np.ndarray, field: Field, tmp_path: Path) -> None:
    assert known(array, field).tolist() == [True, False, True, False]
    np.savez(tmp_path / "a.npz", f_train=np.tile(array.T, 5).T, f_test=array)
    (found,) = load(f"npz:{tmp_path}/a.npz", {"f": field.shape}, {"f": field.kind}, ["f"])
    assert found.test["f_observed"].tolist() == [True, False, True, False]
    assert found.train["f_observed"].sum() == 10 and found.train["f"].isfinite().all()
    if field.kind == "category":
        assert (found.train["f"].sum(1) == 1).all() and found.test["f"].argmax(1).tolist() == [3, 0, 0, 0]
    with pytest.raises(RunError):  # the same without `partial`
        load(f"npz:{tmp_path}/a.npz", {"f": field.shape}, {"f": field.kind})


def test_what_is_not_observed_does_not_reach_a_batch() -> None:
    (whole,) = load("digits", FIELDS, KINDS)
    (found,) = load("digits#labels=10%", FIELDS, KINDS, ["label"])
    mask = found.train["label_observed"]
    assert mask.sum() == 144 and set(found.train["label"][mask].sum(0).tolist()) <= {14.0, 15.0}
    assert torch.equal(found.train["label"][mask], whole.train["label"][mask])
    assert (found.train["label"][~mask].argmax(1) == 0).all()
    assert found.test["label_observed"].all() and torch.equal(found.test["label"], whole.test["label"])
    assert "`label` is observed in 144 of 1437 training records" in str(found)
    batch = next(Batches([found], 50, CPU, torch.Generator().manual_seed(0)))
    assert batch["label_observed"].shape == (50,) and batch["label_observed"].dtype == torch.bool


def test_a_partial_field_of_a_named_set_has_its_mask_beside_it() -> None:
    (found,) = load("s=digits#labels=100", {"s/label": (10,)}, {"s/label": "category"}, ["s/label"])
    assert found.train["s/label_observed"].sum() == 100


def test_a_classifier_sees_every_known_label() -> None:
    found = labelled("digits#labels=1%", Field("image", (1, 8, 8), "unit"), ["", ""])
    (whole,) = load("digits", FIELDS, KINDS)
    assert torch.equal(found.train["label"], whole.train["label"])
    assert torch.equal(found.test["image"], whole.test["image"])


@pytest.mark.parametrize(
    "labels", [np.arange(20) % 4, np.where(np.arange(20) % 4, np.arange(20) % 4, np.nan), np.eye(4)]
)
def test_a_classifier_takes_labels_in_every_form(labels: np.ndarray, tmp_path: Path) -> None:
    labels = np.tile(labels, (5, 1)) if labels.ndim == 2 else labels
    np.savez(tmp_path / "a.npz", x=np.zeros((20, 8, 8)), y=labels)
    found = labelled(f"npz:{tmp_path}/a.npz", Field("image", (1, 8, 8), "unit"), [""])
    assert found.train["label"].shape[1] == 4 and len(found.train["image"]) == len(found.train["label"])
    records = int((~np.isnan(labels.reshape(20, -1))).all(1).sum())
    assert len(found.train["label"]) + len(found.test["label"]) == records


# --- bits -----------------------------------------------------------------------------------------------------


def means(source: str, n: int = 400) -> tuple[torch.Tensor, torch.Tensor]:
    """Two epochs of one-record batches of a set whose every record is the same grey."""
    (found,) = load(source, {"v": (4,)}, {"v": "binary"})
    batches = Batches([found], n, CPU, torch.Generator().manual_seed(0))
    first, second = next(batches)["v"], next(batches)["v"]
    assert set(torch.cat([first, second]).unique().tolist()) <= {0.0, 1.0}
    return first, second


def test_bits_are_drawn_once_or_afresh_with_the_grey_values_as_probabilities(tmp_path: Path) -> None:
    grey = np.tile(np.array([0.0, 0.3, 0.8, 1.0], np.float32), (500, 1))
    np.savez(tmp_path / "a.npz", v=grey)
    fixed, dynamic = (means(f"npz:{tmp_path}/a.npz#binarize={b}") for b in ("fixed", "dynamic"))
    for first, _ in (fixed, dynamic):
        assert first.mean(0).tolist() == pytest.approx([0, 0.3, 0.8, 1], abs=0.08)  # four standard errors
    again = means(f"npz:{tmp_path}/a.npz#binarize=fixed")
    rows = [sorted(map(tuple, part.tolist())) for part in (*fixed, *dynamic)]
    assert torch.equal(fixed[0], again[0]) and rows[0] == rows[1] and rows[2] != rows[3]
    with pytest.raises(RunError, match="--binarize"):
        load(f"npz:{tmp_path}/a.npz", {"v": (4,)}, {"v": "binary"})


def test_held_out_records_are_drawn_once_whichever_way() -> None:
    sets = [load(f"digits#binarize={b}", FIELDS, KINDS)[0] for b in ("fixed", "dynamic", "dynamic#seed=1")]
    assert torch.equal(sets[0].test["image"], sets[1].test["image"])
    assert not torch.equal(sets[1].test["image"], sets[2].test["image"])
    assert set(sets[1].test["image"].unique().tolist()) == {0.0, 1.0}
    assert sets[0].dynamic == () and sets[1].dynamic == ("image",)
    assert "once" in str(sets[0]) and "afresh for every training batch" in str(sets[1])
    found = labelled("digits#binarize=dynamic", Field("image", (1, 8, 8), "unit"), [""])
    assert torch.equal(found.test["image"], sets[1].test["image"])


def test_a_run_keeps_what_it_was_asked_of_its_data(tmp_path: Path) -> None:
    """Bits and labels by the command line's options; sampling and judging see the same set again."""
    import schematic as sg
    from schematic.runtime.sample import reload

    model = sg.parse('model M { x : binary(1, 8, 8) = data("image") z : real(2) ~ Normal(0, 1)\n'
                     " p_theta : z -> x  q_eta : x --> z }")  # fmt: skip
    out = sg.train(model, out=tmp_path / "run", steps=2, batch=8, binarize="dynamic").run
    assert out.config["data"] == "digits#binarize=dynamic" and "afresh" in out.config["sets"][""]
    (again,) = reload(out.path).sets()
    assert again.dynamic == ("image",)
    with pytest.raises(RunError, match="no variable of the model is `partial`"):
        sg.train(model, out=tmp_path / "two", steps=2, labels="1%")


def test_a_program_that_says_what_is_partial_gets_its_mask(tmp_path: Path) -> None:
    import schematic as sg
    from schematic.runtime.evaluate import evaluate
    from schematic.runtime.prepare import Settings
    from schematic.runtime.sample import reload
    from schematic.runtime.train import train

    model = sg.load(Path(__file__).parents[2] / "examples/cvae.sg")
    text = sg.emit(model)
    text = text.replace("    FIELDS", '    PARTIAL = ("label",)\n    FIELDS', 1)
    asked = Settings("digits#validation=100", steps=2, batch=8, labels="10%")
    run = train(text, out=tmp_path / "run", spec=str(model), settings=asked).run
    (found,) = reload(run.path).sets()
    assert found.train["label_observed"].sum() == 134 and len(found.validation["label_observed"]) == 100
    assert evaluate(run.path, 10, split="validation")[0] != evaluate(run.path, 10)[0]
    with pytest.raises(RunError, match="no validation split"):
        train(text, out=tmp_path / "two", settings=Settings(steps=2))
        evaluate(tmp_path / "two", 10, split="validation")
