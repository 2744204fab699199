"""The numbers of docs/findings.md: where the paper's equations are wrong as printed, and by how much.

    python benchmarks/findings.py

Everything is exact on finite models, or by quadrature on one-dimensional Gaussians; the seeds are fixed. Some seconds.
"""

from __future__ import annotations

import sys
from pathlib import Path
from random import Random

import numpy as np

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "support")]

from gaussians import CHANCES, NODES, STEP, Game, log_normal  # noqa: E402
from random_models import made, sizes  # noqa: E402

from schematic.calculus.measures import evidence, jsd, kl, mixture, posterior, reverse  # noqa: E402
from schematic.compiler.objectives import objectives  # noqa: E402
from schematic.core.diagnostics import Report  # noqa: E402
from schematic.graph.build import load  # noqa: E402
from schematic.graph.model import Model  # noqa: E402
from schematic.proof.claims import Case, degenerate_terms_are_constant  # noqa: E402
from schematic.proof.finite import random_tables  # noqa: E402
from schematic.proof.theorems import equation_16_corrected, equation_16_printed  # noqa: E402
from schematic.proof.verify import random_cases  # noqa: E402


def equation_16(count: int = 200) -> None:
    model = load(ROOT / "examples" / "infogan.sg", Report())
    assert isinstance(model, Model)
    cases = tuple(random_cases(model, count, 0))
    printed, corrected = (
        np.array([e for c in cases if (e := check(c)) is not None])
        for check in (equation_16_printed, equation_16_corrected)
    )
    print(f"Eq. 16, {count} random models of InfoGAN: the gradient is off by {np.median(printed):.3f} in the median, "
          f"{printed.max():.3f} at most; with the correction by {corrected.max():.0e} at most")  # fmt: skip


def equation_30(count: int = 20_000) -> None:
    for values in (2, 20):
        rng = np.random.default_rng(values)
        parts = rng.dirichlet(np.ones(values), (count, 2))
        judge = reverse(rng.dirichlet(np.ones(2), (count, values)))
        before = mixture(parts)
        printed = kl(parts, posterior(judge, before)).mean(axis=-1)
        corrected = printed - np.log(evidence(judge, before)).mean(axis=-1)
        left = jsd(parts)
        broken, worst = (left > printed + 1e-12).mean(), (left - printed).max()
        print(f"Eq. 30, {count} random models of {values} values: broken by {broken:.0%}, by {worst:.3f} nats at most; "
              f"the corrected bound is broken by {(left > corrected + 1e-12).sum()}")  # fmt: skip


def degenerate_terms(count: int = 600) -> None:
    graphs = (made(Random(seed)) for seed in range(count))
    errors = []
    for i, model in enumerate(graphs):
        found = objectives(model, Report())
        tables = random_tables(model, sizes(model), np.random.default_rng(i))
        error = degenerate_terms_are_constant(Case(model, sizes(model), tables, found)) if found else None
        errors += [error] if error is not None else []
    wrong = [e for e in errors if e > 1e-10]
    print(f"Degenerate terms: dropped in {len(errors)} of {count} random graphs; in {len(wrong)} of them they have a "
          f"gradient, of {max(wrong):.2f} at most")  # fmt: skip


def equation_46() -> None:
    game = Game()
    moved = game.at + 1j * STEP
    ratio = np.exp(game.log_mixture(moved + NODES) - log_normal(moved + NODES, moved))
    printed = -np.imag((CHANCES * ratio).sum()) / STEP / 2
    print(f"Eq. 46, theta = 1: its middle line as printed has the gradient {abs(printed):.1e}, with the log "
          f"{-game.weighed(1, game.exact_weights(), game.slope_left_out()) / 2:.4f}; the JSD's is "
          f"{game.jsd_slope():.4f}")  # fmt: skip


def equation_44() -> None:
    for heat in (0.5, 0.8, 1.0, 1.25, 2.0):
        print(f"Eq. 44, theta = 1, a discriminator of {heat} times the optimal logit: total variation to the exact "
              f"weights {abs(Game(heat=heat).apart()):.3f}")  # fmt: skip
    best = Game()
    for k in (1, 2, 3):
        exact = best.slope_of_bound(k) if k < 3 else best.weighed(k, best.exact_weights(), _whole(best))
        update = best.weighed(k, best.log_ratio(NODES), best.slope_of_reverse())
        print(f"Eq. 22, theta = 1, the optimal discriminator, k = {k}: the update is {update:.4f}, the gradient of the "
              f"bound of Eq. 40 {exact:.4f}, what Eq. 47 leaves out {exact - update:.4f}")  # fmt: skip


def _whole(game: Game) -> np.ndarray:  # type: ignore[type-arg]
    return np.asarray(game.slope_of_reverse() + game.slope_left_out())


if __name__ == "__main__":
    equation_16()
    equation_30()
    equation_44()
    equation_46()
    degenerate_terms()
