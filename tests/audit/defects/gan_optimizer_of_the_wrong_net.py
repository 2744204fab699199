# against gan.sg
# expect phi not-moved; theta accumulated
import torch
import torch.nn as nn
import torch.optim as optim

CODE, SIDE = 16, 8
dev = torch.device("cuda" if torch.cuda.is_available() else "cpu")

netG = nn.Sequential(
    nn.Linear(CODE, 48), nn.ReLU(True), nn.Linear(48, SIDE * SIDE), nn.Sigmoid(), nn.Unflatten(1, (1, SIDE, SIDE))
).to(dev)
netD = nn.Sequential(
    nn.Conv2d(1, 8, 4, 2, 1), nn.LeakyReLU(0.2, inplace=True), nn.Flatten(), nn.Linear(2 * SIDE * SIDE, 1)
).to(dev)
optimizerD = optim.Adam(netG.parameters(), lr=2e-4, betas=(0.5, 0.999))
optimizerG = optim.Adam(netG.parameters(), lr=2e-4, betas=(0.5, 0.999))
bce = nn.BCEWithLogitsLoss()


def train_step(data):
    b_size = data.size(0)
    label = torch.full((b_size,), 1.0, dtype=torch.float, device=dev)
    netD.zero_grad()
    output = netD(data.to(dev)).view(-1)
    errD_real = bce(output, label)
    errD_real.backward()
    noise = torch.randn(b_size, CODE, device=dev)
    fake = netG(noise)
    label.fill_(0.0)
    errD_fake = bce(netD(fake.detach()).view(-1), label)
    errD_fake.backward()
    optimizerD.step()
    netG.zero_grad()
    label.fill_(1.0)
    errG = bce(netD(fake).view(-1), label)
    errG.backward()
    optimizerG.step()
    return errD_real.item() + errD_fake.item(), errG.item()


FACTORS = {"p_theta": netG, "q_phi": netD}
STEP = train_step
