# against gan.sg
# expect phi equal; theta equal
import torch
from torch import nn

CODE, SIDE = 16, 8


class Generator(nn.Module):
    def __init__(self):
        super().__init__()
        self.main = nn.Sequential(
            nn.Linear(CODE, 32), nn.BatchNorm1d(32), nn.ReLU(), nn.Linear(32, SIDE * SIDE), nn.Sigmoid()
        )

    def forward(self, noise):
        return self.main(noise).view(-1, 1, SIDE, SIDE)


class Discriminator(nn.Module):
    def __init__(self):
        super().__init__()
        self.main = nn.Sequential(
            nn.Linear(SIDE * SIDE, 32), nn.LeakyReLU(0.2), nn.Dropout(0.3), nn.Linear(32, 1), nn.Sigmoid()
        )

    def forward(self, img):
        return self.main(img.view(img.size(0), -1))


generator, discriminator = Generator(), Discriminator()
criterion = nn.BCELoss()


def discriminator_loss(real):
    is_real = torch.ones(real.size(0), 1)
    is_fake = torch.zeros(real.size(0), 1)
    noise = torch.randn(real.size(0), CODE)
    real_loss = criterion(discriminator(real), is_real)
    fake_loss = criterion(discriminator(generator(noise).detach()), is_fake)
    return (real_loss + fake_loss) / 2


def generator_loss(real):
    noise = torch.randn(real.size(0), CODE)
    return criterion(discriminator(generator(noise)), torch.ones(real.size(0), 1))


FACTORS = {"p_theta": generator, "q_phi": discriminator}
LOSSES = {"phi": discriminator_loss, "theta": generator_loss}
