"""Figures and pictures: against independent formulas and readers."""

from __future__ import annotations

import json
import struct
import zlib
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.linalg import sqrtm

from schematic.runtime import classifier
from schematic.runtime.data import load
from schematic.runtime.folder import create
from schematic.runtime.metrics import Means, Metrics, draw
from schematic.runtime.pictures import curves, grid, png, ticks
from schematic.runtime.samples import rows
from schematic.runtime.step import Reading


def read_png(data: bytes) -> np.ndarray:
    """The pixels of a PNG as `png` writes it, by the standard's own words: chunks, checksums, unfiltered rows."""
    at, chunks = 8, {}
    while at < len(data):
        (length,) = struct.unpack(">I", data[at : at + 4])
        kind, body = data[at + 4 : at + 8], data[at + 8 : at + 8 + length]
        assert struct.unpack(">I", data[at + 8 + length : at + 12 + length]) == (zlib.crc32(kind + body),)
        chunks[kind] = body
        at += 12 + length
    width, height, depth, color, *_ = struct.unpack(">IIBBBBB", chunks[b"IHDR"])
    assert depth == 8
    channels = {0: 1, 2: 3}[color]
    rows = np.frombuffer(zlib.decompress(chunks[b"IDAT"]), np.uint8).reshape(height, 1 + width * channels)
    assert not rows[:, 0].any()
    return rows[:, 1:].reshape(height, width, channels)


@given(st.integers(1, 5), st.integers(1, 7), st.sampled_from([1, 3]), st.integers(0, 99))
def test_png_keeps_every_pixel(height: int, width: int, channels: int, seed: int) -> None:
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, channels), np.uint8)
    assert (read_png(png(pixels[..., 0] if channels == 1 else pixels)) == pixels).all()


def test_a_grid_shows_images_in_rows() -> None:
    images = np.linspace(0, 1, 6)[:, None, None, None] * np.ones((6, 1, 32, 32))
    sheet = read_png(grid(images, 4))
    assert sheet.shape == (2 * 66, 4 * 66, 1)
    middles = [sheet[33 + 66 * r, 33 + 66 * c, 0] for r in range(2) for c in range(4)]
    assert middles == [0, 51, 102, 153, 204, 255, 255, 255]  # the last row is filled with white


def test_reconstructions_stand_under_their_records() -> None:
    before, after = torch.zeros(4, 1, 64, 64), torch.ones(4, 1, 64, 64) * 0.5
    sheet = read_png(rows((before, after), columns=2))
    assert [int(sheet[33 + 66 * r, 33, 0]) for r in range(4)] == [0, 128, 0, 128]


@given(st.floats(-1e6, 1e6), st.floats(1e-3, 1e6))
def test_ticks_are_round_and_inside(low: float, span: float) -> None:
    found = ticks(low, low + span)
    assert 1 <= len(found) <= 7 and all(low - 1e-6 * span <= t <= low + span + 1e-6 * span for t in found)


def test_curves_are_drawn_without_what_is_not_finite() -> None:
    svg = curves({"θ <η>": [(0, 1.0), (1, float("nan")), (2, 3.0)], "flat": [(0, 2.0)], "none": []}, "A & B")
    lines = ElementTree.fromstring(svg).findall(".//{http://www.w3.org/2000/svg}polyline")
    assert [len(line.attrib["points"].split()) for line in lines] == [2, 1]
    assert "nan" not in svg


def test_metrics_are_means_and_groups_of_one_update_one_curve(tmp_path: Path) -> None:
    run = create(tmp_path / "run", {}, {})
    metrics = Metrics(run)
    for value in (1.0, 3.0):
        both = {"theta": torch.tensor(value), "eta": torch.tensor(value)}
        metrics.add(Reading(both, {"theta": torch.tensor(value + 1)}))
    means = metrics.read()
    assert means == Means({"theta": 2.0, "eta": 2.0}, {"theta": 4.0})
    metrics.write(means, 2, 0.5, 0.1)
    line = json.loads((run / "metrics.jsonl").read_text())
    assert line["objectives"] == {"theta": 2.0, "eta": 2.0} and line["gradients"] == {"theta": 4.0}
    draw(run, (("theta", "eta"),), "M")
    assert "θ η" in (run / "curves.svg").read_text()


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 999), st.integers(2, 6))
def test_frechet_distance_is_the_textbook_formula(seed: int, dimension: int) -> None:
    random = np.random.default_rng(seed)
    a, b = random.normal(size=(40, dimension)), random.normal(1.0, 2.0, (50, dimension))
    root = sqrtm(np.cov(a.T) @ np.cov(b.T)).real
    expected = ((a.mean(0) - b.mean(0)) ** 2).sum() + np.trace(np.cov(a.T) + np.cov(b.T) - 2 * root)
    assert classifier.frechet(torch.from_numpy(a), torch.from_numpy(b)) == pytest.approx(expected, rel=1e-6)
    assert classifier.frechet(torch.from_numpy(a), torch.from_numpy(a)) == pytest.approx(0, abs=1e-6)


def test_shares_and_probabilities() -> None:
    class Fixed(torch.nn.Module):
        features = torch.nn.Identity()

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x.log()

    probabilities = torch.tensor([[0.8, 0.1, 0.1], [0.6, 0.3, 0.1], [0.1, 0.2, 0.7], [0.7, 0.2, 0.1]])
    real = {"image": probabilities, "label": torch.eye(3)}
    verdict = classifier.judge(Fixed(), probabilities, real)  # type: ignore[arg-type]
    assert verdict.top_probability == pytest.approx(0.7)
    assert (verdict.largest_share, verdict.smallest_share, verdict.modes) == (0.75, 0.0, 2)
    mean = probabilities.mean(0)
    divergence = sum(float((p * (p / mean).log()).sum()) for p in probabilities) / 4
    assert verdict.inception_score == pytest.approx(np.exp(divergence))


def test_the_inception_score_is_between_one_and_the_number_of_classes() -> None:
    assert classifier.inception_score(torch.full((5, 4), 0.25)) == pytest.approx(1)
    assert classifier.inception_score(torch.eye(4)) == pytest.approx(4)


def test_the_classifier_knows_held_out_digits(cache: Path) -> None:
    (digits,) = load("digits", {"image": (1, 8, 8), "label": (10,)}, {"image": "unit", "label": "category"})
    net = classifier.cached(digits.train["image"], digits.train["label"], cache)
    assert classifier.accuracy(net, digits.test) >= 0.97
    again = classifier.cached(digits.train["image"], digits.train["label"], cache)
    assert all(torch.equal(a, b) for a, b in zip(net.parameters(), again.parameters(), strict=True))
    known = {"image": digits.train["image"], "label": digits.train["label"]}
    real = classifier.judge(net, digits.test["image"], known)
    noise = classifier.judge(net, torch.rand(360, 1, 8, 8), known)
    assert real.top_probability > 0.97 and real.frechet < 0.1 * noise.frechet
