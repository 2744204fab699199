"""Real data of the official files, where they are at hand: ../shared/data beside the repository."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

import schematic as sg
from schematic.runtime.data import load

ROOT = Path(__file__).parents[2]
DATA = ROOT.parent / "shared" / "data"
MNIST, USPS, PAIRS = DATA / "mnist", DATA / "usps16.npz", DATA / "horse_deer32.npz"

pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason="the official files are not at hand")

IMAGE, KINDS = {"image": (1, 16, 16), "label": (10,)}, {"image": "unit", "label": "category"}


def linear(images: Tensor, labels: Tensor) -> nn.Linear:
    """Logistic regression by full-batch quasi-Newton steps on at most 6,000 records."""
    torch.manual_seed(0)
    net, x, t = nn.Linear(256, 10), images[:6000].flatten(1), labels[:6000]
    optimizer = torch.optim.LBFGS(net.parameters(), max_iter=40)

    def loss() -> Tensor:
        optimizer.zero_grad()
        value = nn.functional.cross_entropy(net(x), t) + 1e-3 * net.weight.square().sum()
        value.backward()
        return value

    optimizer.step(loss)
    return net


def test_mnist_cropped_and_resized_looks_like_usps() -> None:
    """What a classifier of MNIST makes of USPS: 0.72 with the digits' box, 0.25 without (logistic regression)."""
    (usps,) = load(f"npz:{USPS}", IMAGE, KINDS)
    assert (usps.train["image"].shape, usps.test["image"].shape) == ((7291, 1, 16, 16), (2007, 1, 16, 16))
    accuracy = {}
    for options in ("#crop=20#resize=16", "#resize=16"):
        (mnist,) = load(f"idx:{MNIST}{options}", IMAGE, KINDS)
        assert (len(mnist.train["label"]), len(mnist.test["label"])) == (60000, 10000)
        net = linear(mnist.train["image"], mnist.train["label"])
        found = net(usps.test["image"].flatten(1)).argmax(1)
        accuracy[options] = float((found == usps.test["label"].argmax(1)).float().mean())
    assert accuracy["#crop=20#resize=16"] > 0.6 > 0.45 > accuracy["#resize=16"]


def test_one_percent_of_the_labels_of_mnist() -> None:
    (mnist,) = load(f"{MNIST}#labels=1%", {"label": (10,)}, KINDS, ["label"])
    seen = mnist.train["label_observed"]
    assert seen.sum() == 600 and mnist.train["label"][seen].sum(0).tolist() == [60.0] * 10


def test_domain_adaptation_trains_on_unpaired_sets(tmp_path: Path) -> None:
    data = f"mnist=idx:{MNIST}#crop=20#resize=16,usps=npz:{USPS}"
    outcome = sg.train(sg.load(ROOT / "examples/ada.sg"), data=data, out=tmp_path / "ada", steps=3, batch=16)
    assert outcome.reason == "finished"
    assert "7291 train, 2007 test" in outcome.run.config["sets"]["usps"]


def test_two_halves_of_one_file_are_two_unpaired_sets(tmp_path: Path) -> None:
    """A translation from one set's pictures to the other's, bound in the file's `train` block."""
    model = sg.parse(f"""model Half {{
      x : unit(3, 32, 32) = data("horses/image")
      z : unit(3, 32, 32) = data("deer/image")
      y : domain(fake, real)
      p_theta : z, y ==> x = conv(8)
      q_phi   : x     ~> y = conv(8)
      q_eta   : x, y  -> z = Laplace(conv(8), scale: 0.1)
      train {{ data = sets(horses: "npz:{PAIRS}#image=a", deer: "npz:{PAIRS}#image=b") batch = 8 }}
    }}""")
    run = sg.train(model, out=tmp_path / "half", steps=2).run
    assert {name: text.partition(": ")[2] for name, text in run.config["sets"].items()} == {
        "horses": "2000 train, 400 test records",
        "deer": "2000 train, 400 test records",
    }
