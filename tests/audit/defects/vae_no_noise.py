# against vae_direct.sg
# expect theta,eta noiseless
import torch
from torch import nn
from torch.nn import functional as F

CODE, SIDE = 16, 8


class VAE(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1 = nn.Linear(SIDE * SIDE, 40)
        self.fc21 = nn.Linear(40, CODE)
        self.fc22 = nn.Linear(40, CODE)
        self.fc3 = nn.Linear(CODE, 40)
        self.fc4 = nn.Linear(40, SIDE * SIDE)

    def encode(self, x):
        h1 = F.relu(self.fc1(x))
        return self.fc21(h1), self.fc22(h1)

    def reparameterize(self, mu, logvar):
        if not self.training:
            return mu
        std = torch.exp(0.5 * logvar)
        eps = torch.randn_like(std)
        return mu

    def decode(self, z):
        h3 = F.relu(self.fc3(z))
        return torch.sigmoid(self.fc4(h3))

    def forward(self, x):
        mu, logvar = self.encode(x.view(-1, SIDE * SIDE))
        z = self.reparameterize(mu, logvar)
        return self.decode(z), mu, logvar


model = VAE()


def loss_function(recon_x, x, mu, logvar):
    BCE = F.binary_cross_entropy(recon_x, x.view(-1, SIDE * SIDE), reduction="sum")
    KLD = -0.5 * torch.sum(1 + logvar - mu.pow(2) - logvar.exp())
    return BCE + KLD


def loss(x):
    model.train()
    recon_batch, mu, logvar = model(x)
    return loss_function(recon_batch, x, mu, logvar)


FACTORS = {"p_theta": model.decode, "q_eta": model.encode}
LOSSES = {"theta, eta": loss}
