"""How models are related: every edge is what it says, held against the algebra itself."""

from __future__ import annotations

import json
from pathlib import Path

from click.testing import CliRunner

from schematic.cli.main import cli
from schematic.core.diagnostics import Report
from schematic.graph.build import parse
from schematic.studies.known import known
from schematic.studies.relations import Relation, relations, relations_dot, relations_text
from schematic.studies.skeleton import form

EXAMPLES = Path(__file__).parents[2] / "examples"
FILES = ("aae", "aavae", "beta_vae", "gan", "infogan", "vae", "vae_direct")
KNOWN = tuple(k for k in known() if k.file.removesuffix(".sg") in FILES)


def test_the_relations_of_the_triangle() -> None:
    assert relations(KNOWN) == (
        Relation("move", "aavae.sg", "vae.sg", "perfect(M, q_phi)"),
        Relation("move", "infogan.sg", "aae.sg", "swap(M, x, z)", both=True),
        Relation("move", "infogan.sg", "aavae.sg", "swap_arrows(M)", both=True),
        Relation("move", "infogan.sg", "gan.sg", "M without q_eta"),
        Relation("equal", "vae.sg", "vae_direct.sg", "times ½", both=True),
        Relation("near", "vae_direct.sg", "beta_vae.sg", "q_eta: beta 4, not 1"),
    )


def test_every_move_makes_the_one_of_the_other() -> None:
    """The move's text as an expression of the language, read by the parser."""
    everything = {k.file: k for k in known()}
    moves = [r for r in relations(tuple(everything.values())) if r.kind == "move"]
    assert moves
    for r in moves:
        for left, right in ((r.left, r.right), (r.right, r.left)) if r.both else ((r.left, r.right),):
            moved = r.words.replace("M", f"lib.{everything[left].name}")
            text = f'use "{left}" as lib model M = {moved}'
            model = parse(text, report := Report(), path=str(EXAMPLES / "moved.sg"))
            assert model is not None, "\n".join(d.render() for d in report)
            assert form(model).form == form(everything[right].model).form


def test_a_sum_has_its_terms(tmp_path: Path) -> None:
    for name in ("gan", "vae_direct"):
        (tmp_path / f"{name}.sg").write_text((EXAMPLES / f"{name}.sg").read_text())
    (tmp_path / "both.sg").write_text('use "gan.sg"  use "vae_direct.sg"  model Both = VAE + 0.5 * GAN\n')
    found = relations(known(tmp_path))
    assert [(r.kind, r.left, r.words) for r in found if r.right == "both.sg"] == [
        ("term", "vae_direct.sg", "1 * M"),
        ("term", "gan.sg", "0.5 * M"),
    ]


def test_the_screen_and_the_graph() -> None:
    found = relations(KNOWN)
    assert (
        relations_text(KNOWN, found)
        == """\
->  a move of M gives it    <->  and back    +>  M is a term of it
=   equal objectives        ..>  it is nearest to M, by these differences

AAVAE
  ->  VAE (vae.sg)         perfect(M, q_phi)

InfoGAN
  <-> AAE                  swap(M, x, z)
  <-> AAVAE                swap_arrows(M)
  ->  GAN                  M without q_eta

VAE (vae.sg)
  =   VAE (vae_direct.sg)  times ½

VAE (vae_direct.sg)
  ..> BetaVAE              q_eta: beta 4, not 1
"""
    )
    assert '"infogan.sg" -> "gan.sg" [label="M without q_eta" dir=forward style=solid]' in relations_dot(KNOWN, found)


def test_the_command(tmp_path: Path) -> None:
    (tmp_path / "gan.sg").write_text((EXAMPLES / "gan.sg").read_text())
    (tmp_path / "wrong.sg").write_text("model")
    alone = CliRunner().invoke(cli, ["relations", str(tmp_path)])
    assert alone.exit_code == 0 and "GAN" not in alone.stdout
    data = json.loads(CliRunner().invoke(cli, ["relations", "--json"]).stdout)
    assert {"kind": "move", "left": "infogan.sg", "right": "gan.sg", "words": "M without q_eta", "both": False} in data
    file = tmp_path / "r.dot"
    assert CliRunner().invoke(cli, ["relations", str(tmp_path), "-o", str(file)]).exit_code == 0
    assert file.read_text().startswith("digraph relations {")
