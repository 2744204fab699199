"""Shared networks: who trains them, and through which factor gradient reaches them."""

from __future__ import annotations

from typing import Any

import torch

HEAD = 'x : unit(3) = data("image")  z : real(2) ~ Normal(0, 1)  y : domain(fake, real)  p_theta : z, y ==> x = mlp(5)'
TRUNK = "model M {{ net D {} = mlp(4)  {} q_phi : x ~> y = D  q_eta : x, y -> z = D then mlp(3) }}"


def nets(p: Any) -> tuple[list[Any], list[Any]]:
    """D's parameters and the rest of q_eta's."""
    body = [*p.q_phi.net.body.parameters()]
    return body, [q for q in p.q_eta.parameters() if not any(q is b for b in body)]


def test_a_net_of_one_group_is_left_alone_by_the_other(program: Any, batch: Any) -> None:
    """`in phi`: eta's update moves its own layer, gradient passes through D to x, and D stays."""
    p = program(TRUNK.format("in phi", HEAD))
    body, own = nets(p)
    assert {id(q) for q in body} <= {id(q) for q in p.parameters_of("phi")}
    assert not {id(q) for q in body} & {id(q) for q in p.parameters_of("eta")}
    assert own and {id(q) for q in own} == {id(q) for q in p.parameters_of("eta")}
    draw = p.draw(batch(p))
    scored = p.q_eta(draw["fake"]["x"]).log_prob(draw["fake"]["z"]).mean()
    found = torch.autograd.grad(scored, [*body, *own, *p.p_theta.parameters()], allow_unused=True)
    assert all(g is None for g in found[: len(body)]) and all(g is not None for g in found[len(body) :])


def test_a_net_of_two_groups_takes_in_each_update_its_own_factors_gradient(program: Any, batch: Any) -> None:
    """`in phi, eta`: D moves in both updates, by log q_phi in phi's and by log q_eta alone in eta's."""
    p = program(TRUNK.format("in phi, eta", HEAD))
    body, _ = nets(p)
    draw = p.draw(batch(p))
    moved = torch.autograd.grad(p.objective(draw, "eta"), body, retain_graph=True)
    alone = 0.5 * p.q_eta(draw["fake"]["x"]).log_prob(draw["fake"]["z"]).mean()
    for a, b in zip(moved, torch.autograd.grad(alone, body, retain_graph=True), strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=1e-12)
    theta = torch.autograd.grad(p.objective(draw, "theta"), list(p.p_theta.parameters()), retain_graph=True)
    whole = alone + 0.5 * torch.nn.functional.logsigmoid(p.q_phi(draw["fake"]["x"]).logits).mean()
    for a, b in zip(theta, torch.autograd.grad(whole, list(p.p_theta.parameters())), strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=1e-12)


def test_heads_are_shared_by_target(program: Any) -> None:
    p = program(
        'model M { net F in theta = mlp(4)  x : unit(3) = data("image")  t : unit(3) = data("image")'
        "  z : real(2) ~ Normal(0, 1)  p_theta.x : z -> x = F  p_theta.t : z -> t = F  q_eta : x, t --> z }"
    )
    assert p.p_theta_x.net.body is p.p_theta_t.net.body
    assert p.p_theta_x.net.head is p.p_theta_t.net.head
    assert len(list(p.parameters_of("theta"))) == len(list(p.p_theta_x.parameters()))


def test_fixed_factors_and_nets_do_not_move(program: Any, batch: Any) -> None:
    p = program(
        'model M { net F = mlp(4) fixed  x : unit(3) = data("image")  z : real(2) ~ Normal(0, 1)'
        "  p_theta : z -> x = mlp(3) fixed  q_eta : x --> z = F then mlp(3) }"
    )
    assert p.GROUPS == {"eta": ("q_eta",)} and p.UPDATES == (("eta",),)
    moved = list(p.parameters_of("eta"))
    grads = torch.autograd.grad(p.objective(p.draw(batch(p)), "eta"), moved)
    assert all(g.abs().sum() > 0 for g in grads)
    assert {id(q) for q in p.net_F.parameters()} <= {id(q) for q in p.parameters()}
    assert not {id(q) for q in p.net_F.parameters()} & {id(q) for q in moved}
    state = p.state_dict()
    p.load_state_dict(state)


def test_a_discriminators_own_trunk_takes_gradient(program: Any, batch: Any) -> None:
    """A hollow inference factor of phi's own group passes gradient to phi, and an update in between asks for a draw."""
    p = program(
        'model M { x : unit(3) = data("image")  z : real(2) ~ Normal(0, 1)  f : real(4)  y : domain(fake, real)'
        "  p_theta : z, y ==> x = mlp(5)  q_phi.f : x ==> f = mlp(4)  q_phi : f ~> y = mlp(3) }"
    )
    draw = p.draw(batch(p))
    found = torch.autograd.grad(p.objective(draw, "phi"), [*p.q_phi_f.parameters(), *p.q_phi.parameters()])
    assert all(g.abs().sum() > 0 for g in found)
    assert p.UPDATES == (("phi",), ("theta",)) and p.REDRAW == (True, True)


def test_repeated_updates_are_drawn_afresh(program: Any) -> None:
    p = program("model M { " + HEAD + " q_phi : x ~> y = mlp(4)  train { phi = adam(1e-3, 0, 0.9, steps: 3) } }")
    assert p.UPDATES == (("phi",), ("phi",), ("phi",), ("theta",))
    assert p.REDRAW == (True, True, True, False)
