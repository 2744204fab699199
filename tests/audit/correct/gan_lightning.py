# against gan.sg
# expect phi equal; theta equal
import lightning as L
import torch
from torch import nn
from torch.nn import functional as F

CODE, SIDE = 16, 8


class GAN(L.LightningModule):
    def __init__(self, rate=2e-4, b1=0.5):
        super().__init__()
        self.save_hyperparameters()
        self.rate, self.b1 = rate, b1
        self.automatic_optimization = False
        self.generator = nn.Sequential(nn.Linear(CODE, 32), nn.LeakyReLU(0.2), nn.Linear(32, SIDE * SIDE), nn.Sigmoid())
        self.discriminator = nn.Sequential(
            nn.Flatten(), nn.Linear(SIDE * SIDE, 32), nn.LeakyReLU(0.2), nn.Linear(32, 1), nn.Sigmoid()
        )

    def forward(self, z):
        return self.generator(z).view(z.size(0), 1, SIDE, SIDE)

    def adversarial_loss(self, y_hat, y):
        return F.binary_cross_entropy(y_hat, y)

    def training_step(self, batch, batch_idx):
        imgs, _ = batch
        optimizer_g, optimizer_d = self.optimizers()
        z = torch.randn(imgs.shape[0], CODE).type_as(imgs)
        self.toggle_optimizer(optimizer_g)
        valid = torch.ones(imgs.size(0), 1).type_as(imgs)
        g_loss = self.adversarial_loss(self.discriminator(self(z)), valid)
        self.log("g_loss", g_loss, prog_bar=True)
        self.manual_backward(g_loss)
        optimizer_g.step()
        optimizer_g.zero_grad()
        self.untoggle_optimizer(optimizer_g)
        self.toggle_optimizer(optimizer_d)
        real_loss = self.adversarial_loss(self.discriminator(imgs), valid)
        fake = torch.zeros(imgs.size(0), 1).type_as(imgs)
        fake_loss = self.adversarial_loss(self.discriminator(self(z).detach()), fake)
        d_loss = (real_loss + fake_loss) / 2
        self.log("d_loss", d_loss, prog_bar=True)
        self.manual_backward(d_loss)
        optimizer_d.step()
        optimizer_d.zero_grad()
        self.untoggle_optimizer(optimizer_d)

    def configure_optimizers(self):
        opt_g = torch.optim.Adam(self.generator.parameters(), lr=self.rate, betas=(self.b1, 0.999))
        opt_d = torch.optim.Adam(self.discriminator.parameters(), lr=self.rate, betas=(self.b1, 0.999))
        return [opt_g, opt_d], []


model = GAN()
FACTORS = {"p_theta": model, "q_phi": model.discriminator}
STEP = model
