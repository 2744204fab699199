# against wgan_gp.sg
# expect phi sign sign; theta equal
import torch
import torch.autograd as autograd
import torch.nn as nn

CODE, SIDE, LAMBDA = 16, 8, 10

G = nn.Sequential(
    nn.Linear(CODE, 32), nn.Softplus(), nn.Linear(32, SIDE * SIDE), nn.Sigmoid(), nn.Unflatten(1, (1, SIDE, SIDE))
)
D = nn.Sequential(nn.Conv2d(1, 6, 3, 1, 1), nn.Softplus(), nn.Flatten(), nn.Linear(6 * SIDE * SIDE, 1))
opt_G = torch.optim.Adam(G.parameters(), lr=1e-4, betas=(0.0, 0.9))
opt_D = torch.optim.Adam(D.parameters(), lr=1e-4, betas=(0.0, 0.9))


def gradient_penalty(real, fake):
    alpha = torch.rand(real.size(0), 1, 1, 1)
    interpolates = (alpha * real + (1 - alpha) * fake).requires_grad_(True)
    d_interpolates = D(interpolates)
    gradients = autograd.grad(
        outputs=d_interpolates, inputs=interpolates, grad_outputs=torch.ones_like(d_interpolates),
        create_graph=True, retain_graph=True, only_inputs=True,
    )[0]
    gradients = gradients.view(gradients.size(0), -1)
    return ((gradients.norm(2, dim=1) - 1) ** 2).mean()


def train_step(real):
    for _ in range(2):
        z = torch.randn(real.size(0), CODE)
        fake = G(z).detach()
        opt_D.zero_grad()
        loss_D = D(real).mean() - D(fake).mean() + LAMBDA * gradient_penalty(real, fake)
        loss_D.backward()
        opt_D.step()
    opt_G.zero_grad()
    loss_G = -D(G(torch.randn(real.size(0), CODE))).mean()
    loss_G.backward()
    opt_G.step()


FACTORS = {"p_theta": G, "q_phi": D}
STEP = train_step
