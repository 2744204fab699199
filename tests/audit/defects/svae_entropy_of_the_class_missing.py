# against svae.sg
# expect theta,eta missing
import torch
from torch import nn
from torch.nn import functional as F

CODE, SIDE = 16, 8
CLASSES, ALPHA = 10, 10.0


class M2(nn.Module):
    def __init__(self):
        super().__init__()
        self.classifier = nn.Sequential(nn.Linear(SIDE * SIDE, 32), nn.ReLU(), nn.Linear(32, CLASSES))
        self.encoder = nn.Sequential(nn.Linear(SIDE * SIDE + CLASSES, 32), nn.ReLU(), nn.Linear(32, 2 * CODE))
        self.decoder = nn.Sequential(nn.Linear(CODE + CLASSES, 32), nn.ReLU(), nn.Linear(32, SIDE * SIDE))

    def bound(self, pixels, label):
        mu, log_var = self.encoder(torch.cat([pixels, label], 1)).chunk(2, 1)
        z = mu + torch.randn_like(mu) * (0.5 * log_var).exp()
        logits = self.decoder(torch.cat([z, label], 1))
        recon = -F.binary_cross_entropy_with_logits(logits, pixels, reduction="none").sum(1)
        kl = -0.5 * (1 + log_var - mu.pow(2) - log_var.exp()).sum(1)
        return recon - kl


m2 = M2()


def loss(image, one_hot, known):
    pixels = image.flatten(1)
    labelled = m2.bound(pixels[known], one_hot[known])
    log_q = m2.classifier(pixels).log_softmax(1)
    labelled = labelled + ALPHA * (log_q[known] * one_hot[known]).sum(1)
    rest, log_q = pixels[~known], log_q[~known]
    each = [m2.bound(rest, F.one_hot(torch.full((len(rest),), k), CLASSES).double()) for k in range(CLASSES)]
    unlabelled = (log_q.exp() * torch.stack(each, 1)).sum(1)
    return -(labelled.sum() + unlabelled.sum()) / len(pixels)


FACTORS = {"p_theta": m2.decoder, "q_eta.t": m2.classifier, "q_eta.z": m2.encoder}
LOSSES = {"theta, eta": loss}
