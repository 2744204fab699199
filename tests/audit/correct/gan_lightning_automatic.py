# against gan.sg
# expect phi equal; theta equal
import pytorch_lightning as pl
import torch
import torch.nn as nn
import torch.nn.functional as F

CODE, SIDE = 16, 8


class LitGAN(pl.LightningModule):
    def __init__(self):
        super().__init__()
        self.G = nn.Sequential(nn.Linear(CODE, 32), nn.ReLU(), nn.Linear(32, SIDE * SIDE), nn.Sigmoid())
        self.D = nn.Sequential(nn.Linear(SIDE * SIDE, 32), nn.ReLU(), nn.Linear(32, 1))

    def training_step(self, batch, batch_idx, optimizer_idx):
        x = batch[0].flatten(1)
        z = torch.randn(x.shape[0], CODE, device=self.device)
        if optimizer_idx == 0:
            logits = self.D(self.G(z))
            loss = F.binary_cross_entropy_with_logits(logits, torch.ones_like(logits))
        else:
            real, fake = self.D(x), self.D(self.G(z).detach())
            loss = F.softplus(-real).mean() + F.softplus(fake).mean()
        self.log("loss", loss)
        return {"loss": loss}

    def configure_optimizers(self):
        return torch.optim.Adam(self.G.parameters(), 1e-4), torch.optim.Adam(self.D.parameters(), 4e-4)


lit = LitGAN()
FACTORS = {"p_theta": lit.G, "q_phi": lit.D}
STEP = lit
