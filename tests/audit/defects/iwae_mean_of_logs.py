# against iwae.sg
# expect theta,eta weights
from torch import nn
from torch.distributions import Bernoulli, Normal

CODE, SIDE, SAMPLES = 16, 8, 16

encoder = nn.Sequential(nn.Flatten(), nn.Linear(SIDE * SIDE, 32), nn.Tanh(), nn.Linear(32, 2 * CODE))
decoder = nn.Sequential(nn.Linear(CODE, 32), nn.Tanh(), nn.Linear(32, SIDE * SIDE))


def log_weights(x):
    mu, log_std = encoder(x).chunk(2, 1)
    q = Normal(mu, log_std.exp())
    z = q.rsample((SAMPLES,))
    log_q = q.log_prob(z).sum(-1)
    log_p = Normal(0.0, 1.0).log_prob(z).sum(-1)
    log_px = Bernoulli(logits=decoder(z), validate_args=False).log_prob(x.flatten(1)).sum(-1)
    return log_px + log_p - log_q


def loss(x):
    log_w = log_weights(x)
    return -log_w.mean(0).mean()


FACTORS = {"p_theta": decoder, "q_eta": encoder}
LOSSES = {"theta, eta": loss}
