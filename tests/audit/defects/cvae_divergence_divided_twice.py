# against cvae.sg
# expect theta,eta batch
import torch
from torch import nn
from torch.nn import functional as F

CODE, SIDE = 16, 8


class CVAE(nn.Module):
    def __init__(self):
        super().__init__()
        self.enc = nn.Linear(SIDE * SIDE + 10, 32)
        self.mu, self.lv = nn.Linear(32, CODE), nn.Linear(32, CODE)
        self.dec = nn.Sequential(nn.Linear(CODE + 10, 32), nn.ReLU(), nn.Linear(32, SIDE * SIDE), nn.Sigmoid())

    def encode(self, x, c):
        h = F.elu(self.enc(torch.cat([x.flatten(1), c], dim=1)))
        return self.mu(h), self.lv(h)

    def decode(self, z, c):
        return self.dec(torch.cat([z, c], 1))


cvae = CVAE()


def loss_fn(x, labels):
    c = F.one_hot(labels, 10).float()
    mu, lv = cvae.encode(x, c)
    z = mu + torch.randn_like(mu) * (lv / 2).exp()
    bce = F.binary_cross_entropy(cvae.decode(z, c), x.flatten(1), reduction="sum")
    kld = -0.5 * (1 + lv - mu**2 - lv.exp()).sum()
    return (bce + kld / x.size(0)) / x.size(0)


FACTORS = {"p_theta": cvae.decode, "q_eta": cvae.encode}
LOSSES = {"theta, eta": loss_fn}
