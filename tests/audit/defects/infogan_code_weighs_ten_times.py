# against infogan.sg
# expect phi equal; theta,eta scale
import torch
from torch import nn

CODE, SIDE = 16, 8


class Net(nn.Module):
    def __init__(self, inputs, outputs):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(inputs, 32), nn.ReLU(), nn.Linear(32, outputs))

    def forward(self, values):
        return self.layers(values.reshape(values.shape[0], -1))


gen, dis, rec = Net(CODE, SIDE * SIDE), Net(SIDE * SIDE, 1), Net(SIDE * SIDE, 2 * CODE)
bce = nn.BCEWithLogitsLoss()


def loss_d(x):
    z = torch.randn(len(x), CODE)
    real, fake = dis(x), dis(torch.sigmoid(gen(z)).detach())
    return bce(real, torch.ones_like(real)) + bce(fake, torch.zeros_like(fake))


def loss_g(x):
    z = torch.randn(len(x), CODE)
    made = torch.sigmoid(gen(z))
    mean, log_std = rec(made).chunk(2, dim=1)
    code = torch.distributions.Normal(mean, log_std.exp()).log_prob(z).sum(1).mean()
    judged = dis(made)
    return bce(judged, torch.ones_like(judged)) - 10 * code


FACTORS = {"p_theta": lambda z: torch.sigmoid(gen(z)), "q_phi": dis, "q_eta": rec}
LOSSES = {"phi": loss_d, "theta, eta": loss_g}
