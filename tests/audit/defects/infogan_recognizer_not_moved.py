# against infogan.sg
# expect phi equal; theta,eta not-moved

import numpy as np
import torch
import torch.nn as nn

CODE, SIDE = 16, 8
G = nn.Sequential(nn.Linear(CODE, 40), nn.ReLU(), nn.Linear(40, SIDE * SIDE), nn.Sigmoid())
D = nn.Sequential(nn.Linear(SIDE * SIDE, 40), nn.LeakyReLU(0.2), nn.Linear(40, 1), nn.Sigmoid())


class Recognizer(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Flatten(), nn.Linear(SIDE * SIDE, 40), nn.ELU())
        self.mu, self.var = nn.Linear(40, CODE), nn.Linear(40, CODE)

    def forward(self, x):
        h = self.body(x)
        return self.mu(h), self.var(h).exp()


Q = Recognizer()
adversarial = nn.BCELoss()
optimizer_G = torch.optim.Adam(G.parameters(), lr=1e-3)
optimizer_D = torch.optim.Adam(D.parameters(), lr=2e-4)
optimizer_info = torch.optim.Adam(G.parameters(), lr=1e-3)


def gaussian_nll(z, mu, var):
    return -(-0.5 * (var + 1e-12).log() - (z - mu) ** 2 / (2 * var)).sum(1).mean()


def step(imgs, labels):
    imgs = imgs.view(imgs.size(0), -1)
    valid = torch.Tensor(np.ones((imgs.size(0), 1)))
    fake = torch.Tensor(np.zeros((imgs.size(0), 1)))
    z = torch.Tensor(np.random.normal(0, 1, (imgs.size(0), CODE)))
    gen_imgs = G(z)

    optimizer_G.zero_grad()
    g_loss = adversarial(D(gen_imgs), valid)
    g_loss.backward()
    optimizer_G.step()

    optimizer_D.zero_grad()
    d_loss = (adversarial(D(imgs), valid) + adversarial(D(gen_imgs.detach()), fake)) / 2
    d_loss.backward()
    optimizer_D.step()

    optimizer_info.zero_grad()
    info_loss = gaussian_nll(z, *Q(G(z)))
    info_loss.backward()
    optimizer_info.step()


FACTORS = {"p_theta": G, "q_phi": D, "q_eta": Q}
OUTPUTS = {"q_eta": "mean, variance"}
STEP = lambda batch: step(*batch)  # noqa: E731
