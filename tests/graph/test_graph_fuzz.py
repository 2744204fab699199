"""No input makes a traceback, and no model fails without an error: mutated texts, by the thousand."""

from __future__ import annotations

import re
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schematic.core.diagnostics import Report
from schematic.graph.build import parse
from schematic.graph.pending import pending
from schematic.graph.text import model_text
from schematic.graph.view import to_networkx

SEEDS = (
    """net D in phi = conv(8, 16, kernel: 5)  net V = python("lpips:VGG") fixed
model M {
  x : unit(1, 8, 8) = data("s/image")
  t : category(3) ~ Categorical = data("s/label") partial
  y : domain(fake, real)
  z : real(3) ~ Laplace(-1, 2.5e-3)
  w : real(2) = data("a", "b") given y
  p_theta.t : z, y, w ==> x = Normal(dcgan(8), scale: 0.1) when y = fake
  q_phi : x ~> y = D fixed temperature 1.5
  q_eta : x --> z = Normal(D then mlp(4)) beta 0.5 when y = real
  q_xi : x --> t = conv(4) weight 50 gradient gumbel(0.5)
  train { data = sets(s: "mnist") phi = adam(1e-4, 0, 0.9, steps: 5, clip: 1, schedule: cosine, warmup: 9)
    eta, xi = sgd(1, average: 0.9) batch = 3 }
}
model N = perfect(swap_arrows(M), q_phi) { q_eta = mlp(3) }
model O = swap(M without q_xi, x, z) { q_phi = linear  q_eta = linear } + 0.5 * rename(M, x, u)
model P = importance(activate(N, q_star, mlp(4)), 5)
train { epochs = 3 }
""",
    """model C { z[1..9] : real(3) = data  z[9] : real(3) ~ Normal(0, 1)
  p_a : z[t] -> z[t-1]  q_b : z --> h  h : binary(4)
  q_c : h.rest ~> h.each = mlp(64)  p_d : z[3], h -> v  v : unit
}
model W = wake_sleep(C)
""",
)
WORDS = re.compile(r"\s+|\w+|[^\w\s]")


def mutated(seed: int) -> str:
    """A text with a few of its words dropped, doubled, exchanged or taken from elsewhere."""
    r = Random(seed)
    words = WORDS.findall(r.choice(SEEDS))
    for _ in range(r.randint(1, 4)):
        i, j = r.randrange(len(words)), r.randrange(len(words))
        match r.randrange(4):
            case 0:
                words[i] = ""
            case 1:
                words[i] = words[j]
            case 2:
                words[i], words[j] = words[j], words[i]
            case _:
                words[i] += words[j]
    return "".join(words)


def test_the_seeds_are_good() -> None:
    for seed in SEEDS:
        report = Report()
        assert parse(seed, report) is not None, "\n".join(d.render() for d in report)
        assert not report.failed


def survives(text: str) -> None:
    report = Report()
    model = parse(text, report)
    assert model is not None or report.failed
    for diagnostic in report:
        assert diagnostic.render()
        assert diagnostic.span.end <= len(diagnostic.span.source.text)
    if model is not None and not report.failed:
        pending(model)
        to_networkx(model)
        text, report = model_text(model), Report()
        again = parse(text, report)
        assert again is not None, "\n".join(d.render() for d in report) + text
        assert model_text(again) == text


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_mutated_texts_have_findings_not_tracebacks(seed: int) -> None:
    survives(mutated(seed))


@pytest.mark.slow
@settings(max_examples=5000, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_many_mutated_texts(seed: int) -> None:
    survives(mutated(seed))
