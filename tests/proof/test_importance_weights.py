"""Eq. 22 on one-dimensional Gaussians, by quadrature: where its weights are exact, and what it leaves out."""

from __future__ import annotations

import numpy as np
import pytest
from gaussians import CHANCES, NODES, Game

GAMES = [Game(at, heat) for at in (0.5, 1.0, 1.5) for heat in (0.5, 1.0, 2.0)]
CLOSE = 1e-8  # of 80 Gauss-Hermite nodes


def test_the_quadrature_is_exact_for_moments() -> None:
    for power, moment in enumerate((1, 0, 1, 0, 3, 0, 15)):
        assert (CHANCES * NODES**power).sum() == pytest.approx(moment, abs=1e-10)


@pytest.mark.parametrize("game", GAMES, ids=str)
@pytest.mark.parametrize("k", (1, 2))
def test_equation_41_is_the_gradient_of_the_bound(game: Game, k: int) -> None:
    slopes = game.slope_of_reverse() + game.slope_left_out()
    assert game.weighed(k, game.exact_weights(), slopes) == pytest.approx(game.slope_of_bound(k), abs=CLOSE)


@pytest.mark.parametrize("game", GAMES, ids=str)
def test_with_one_draw_equation_22_is_the_update_of_a_gan(game: Game) -> None:
    plain = float((CHANCES * game.slope_of_reverse()).sum())
    assert game.weighed(1, game.log_ratio(NODES), game.slope_of_reverse()) == pytest.approx(plain, abs=1e-12)


@pytest.mark.parametrize("at", (0.5, 1.0, 1.5))
def test_the_weights_of_equation_44_are_exact_at_the_optimal_discriminator(at: float) -> None:
    best = Game(at)
    np.testing.assert_allclose(best.log_ratio(NODES) - best.exact_weights(), np.log(2), atol=1e-9)
    assert best.apart() < 1e-10
    assert Game(at, 0.5).apart() > 0.01 and Game(at, 2.0).apart() > 0.01


@pytest.mark.parametrize("game", GAMES, ids=str)
def test_what_is_left_out_is_the_gradient_of_the_jsd_at_one_draw_alone(game: Game) -> None:
    """Eq. 46, with its log; at two draws the term that is dropped is another one."""
    one, two = (game.weighed(k, game.exact_weights(), game.slope_left_out()) for k in (1, 2))
    assert -one / 2 == pytest.approx(game.jsd_slope(), abs=CLOSE)
    assert abs(two - one) > 1e-3


@pytest.mark.parametrize("game", GAMES, ids=str)
def test_the_bound_grows_with_the_draws(game: Game) -> None:
    limit = np.log((CHANCES * np.exp(game.exact_weights())).sum())
    bounds = [game.bound(k, game.at).real for k in (1, 2)] + [float(limit)]
    assert bounds == sorted(bounds) and bounds[0] < bounds[1] < bounds[2]
