# against vae_direct.sg
# expect theta,eta equal
import torch
import torch.nn as nn

CODE, SIDE = 16, 8


class Encoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.hidden = nn.Sequential(nn.Conv2d(1, 6, 3, 2, 1), nn.ReLU(), nn.Flatten())
        self.center = nn.LazyLinear(CODE)
        self.raw = nn.LazyLinear(CODE)

    def forward(self, image):
        h = self.hidden(image)
        return self.center(h), nn.functional.softplus(self.raw(h))


class Decoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(CODE, 32), nn.ReLU(), nn.Linear(32, SIDE * SIDE))

    def forward(self, z):
        return self.net(z).view(-1, 1, SIDE, SIDE)


encoder, decoder = Encoder(), Decoder()
encoder(torch.zeros(1, 1, SIDE, SIDE))
optimizer = torch.optim.Adam(list(encoder.parameters()) + list(decoder.parameters()), lr=1e-3)
bce = nn.BCEWithLogitsLoss(reduction="none")


def train(batch):
    images = batch[0]
    optimizer.zero_grad()
    mean, std = encoder(images)
    posterior = torch.distributions.Normal(mean, std)
    z = posterior.rsample()
    reconstruction = -bce(decoder(z), images).sum((1, 2, 3))
    prior = torch.distributions.Normal(0.0, 1.0)
    kl = (posterior.log_prob(z) - prior.log_prob(z)).sum(-1)
    loss = (kl - reconstruction).mean()
    loss.backward()
    torch.nn.utils.clip_grad_norm_(encoder.parameters(), 1.0)
    optimizer.step()
    return loss.item()


FACTORS = {"p_theta": decoder, "q_eta": encoder}
STEP = train
