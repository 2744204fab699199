# against aae.sg
# expect phi label label; eta,theta equal
import torch
import torch.nn as nn
import torch.nn.functional as F

CODE, SIDE = 16, 8
TINY = 1e-15


class Q_net(nn.Module):
    def __init__(self):
        super().__init__()
        self.lin1, self.lin2 = nn.Linear(SIDE * SIDE, 40), nn.Linear(40, CODE)

    def forward(self, x):
        return self.lin2(F.relu(self.lin1(x.view(x.size(0), -1))))


class P_net(nn.Module):
    def __init__(self):
        super().__init__()
        self.lin1, self.lin2 = nn.Linear(CODE, 40), nn.Linear(40, SIDE * SIDE)

    def forward(self, z):
        return torch.sigmoid(self.lin2(F.relu(self.lin1(z))))


class D_net_gauss(nn.Module):
    def __init__(self):
        super().__init__()
        self.lin1, self.lin2 = nn.Linear(CODE, 30), nn.Linear(30, 1)

    def forward(self, z):
        return torch.sigmoid(self.lin2(F.relu(self.lin1(z))))


Q, P, D = Q_net(), P_net(), D_net_gauss()
optim_P = torch.optim.Adam(P.parameters(), lr=1e-3)
optim_Q_enc = torch.optim.Adam(Q.parameters(), lr=1e-3)
optim_Q_gen = torch.optim.Adam(Q.parameters(), lr=5e-5)
optim_D = torch.optim.Adam(D.parameters(), lr=5e-5)


def train_step(images):
    n = images.size(0)
    for o in (optim_P, optim_Q_enc, optim_Q_gen, optim_D):
        o.zero_grad()
    recon_loss = F.binary_cross_entropy(P(Q(images)), images.view(n, -1), reduction="sum") / n
    recon_loss.backward()
    optim_P.step()
    optim_Q_enc.step()

    z_real_gauss = torch.randn(n, CODE)
    D_loss = -torch.mean(torch.log(1 - D(z_real_gauss) + TINY) + torch.log(D(Q(images).detach()) + TINY))
    optim_D.zero_grad()
    D_loss.backward()
    optim_D.step()

    optim_Q_gen.zero_grad()
    G_loss = -torch.mean(torch.log(D(Q(images)) + TINY))
    G_loss.backward()
    optim_Q_gen.step()


FACTORS = {"q_eta": Q, "p_theta": P, "q_phi": D}
STEP = train_step
