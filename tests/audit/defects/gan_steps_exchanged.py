# against gan.sg
# expect phi wrong-loss; theta no-gradient
import torch
import torch.nn as nn

CODE, SIDE = 16, 8
G = nn.Sequential(nn.Linear(CODE, 32), nn.Tanh(), nn.Linear(32, SIDE * SIDE), nn.Sigmoid())
D = nn.Sequential(nn.Linear(SIDE * SIDE, 32), nn.Tanh(), nn.Linear(32, 1), nn.Sigmoid())
opt_d = torch.optim.Adam(G.parameters(), lr=1e-4)
opt_g = torch.optim.Adam(D.parameters(), lr=1e-4)
loss = nn.BCELoss()


def step(batch):
    images, _ = batch
    images = images.reshape(len(images), -1)
    z = torch.randn(len(images), CODE)
    opt_d.zero_grad()
    d_loss = loss(D(images), torch.ones(len(images), 1)) + loss(D(G(z).detach()), torch.zeros(len(images), 1))
    d_loss.backward()
    opt_d.step()
    opt_g.zero_grad()
    g_loss = loss(D(G(z)), torch.ones(len(images), 1))
    g_loss.backward()
    opt_g.step()


FACTORS = {"p_theta": G, "q_phi": D}
STEP = step
