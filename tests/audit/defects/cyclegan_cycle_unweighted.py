# against cyclegan_squares.sg
# expect phi equal; theta,eta scale scale
import itertools

import torch
import torch.nn as nn

CHANNELS, SIDE = 3, 8


def translator():
    first, last = nn.Conv2d(CHANNELS, 6, 3, 1, 1), nn.Conv2d(6, CHANNELS, 3, 1, 1)
    return nn.Sequential(first, nn.InstanceNorm2d(6), nn.Softplus(), last, nn.Sigmoid())


def judge():
    return nn.Sequential(nn.Conv2d(CHANNELS, 6, 4, 2, 1), nn.LeakyReLU(0.2), nn.Conv2d(6, 1, 3, 1, 1))


G_AB, G_BA, D_A, D_B = translator(), translator(), judge(), judge()
criterion_GAN, criterion_cycle = nn.MSELoss(), nn.L1Loss()
lambda_cyc = 1.0
optimizer_G = torch.optim.Adam(itertools.chain(G_AB.parameters(), G_BA.parameters()), lr=2e-4)
optimizer_D_A = torch.optim.Adam(D_A.parameters(), lr=2e-4)
optimizer_D_B = torch.optim.Adam(D_B.parameters(), lr=2e-4)


def step(real_A, real_B):
    patch = D_A(real_A).shape
    valid, fake = torch.ones(patch), torch.zeros(patch)

    optimizer_G.zero_grad()
    fake_B, fake_A = G_AB(real_A), G_BA(real_B)
    loss_GAN = criterion_GAN(D_B(fake_B), valid) + criterion_GAN(D_A(fake_A), valid)
    loss_cycle = criterion_cycle(G_BA(fake_B), real_A) + criterion_cycle(G_AB(fake_A), real_B)
    loss_G = loss_GAN + lambda_cyc * loss_cycle
    loss_G.backward()
    optimizer_G.step()

    optimizer_D_A.zero_grad()
    loss_D_A = (criterion_GAN(D_A(real_A), valid) + criterion_GAN(D_A(fake_A.detach()), fake)) / 2
    loss_D_A.backward()
    optimizer_D_A.step()

    optimizer_D_B.zero_grad()
    loss_D_B = (criterion_GAN(D_B(real_B), valid) + criterion_GAN(D_B(fake_B.detach()), fake)) / 2
    loss_D_B.backward()
    optimizer_D_B.step()


FACTORS = {"p_theta": G_BA, "q_eta": G_AB, "q_phi": D_A, "q_phi.z": D_B}
STEP = lambda x, z: step(x, z)  # noqa: E731
