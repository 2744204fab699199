# against vae_direct.sg
# expect theta,eta mean
import pytorch_lightning as pl
import torch
from torch import nn
from torch.nn import functional as F

CODE, SIDE = 16, 8


class LitVAE(pl.LightningModule):
    def __init__(self):
        super().__init__()
        self.encoder = nn.Sequential(nn.Flatten(), nn.Linear(SIDE * SIDE, 32), nn.ReLU(), nn.Linear(32, 2 * CODE))
        self.decoder = nn.Sequential(
            nn.Linear(CODE, 32), nn.ReLU(), nn.Linear(32, SIDE * SIDE), nn.Unflatten(1, (1, SIDE, SIDE))
        )

    def training_step(self, batch, batch_idx):
        x, _ = batch
        mu, log_var = self.encoder(x).chunk(2, dim=-1)
        q = torch.distributions.Normal(mu, torch.exp(log_var / 2))
        p = torch.distributions.Normal(torch.zeros_like(mu), torch.ones_like(mu))
        logits = self.decoder(q.rsample())
        kl = torch.distributions.kl_divergence(q, p).mean()
        recon = F.binary_cross_entropy_with_logits(logits, x, reduction="none").flatten(1).sum(1).mean()
        elbo = kl + recon
        self.log_dict({"elbo": elbo, "kl": kl})
        return elbo

    def configure_optimizers(self):
        return torch.optim.Adam(self.parameters(), lr=1e-4)


net = LitVAE()
FACTORS = {"p_theta": net.decoder, "q_eta": net.encoder}
STEP = net
