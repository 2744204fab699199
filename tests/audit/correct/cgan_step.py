# against cgan.sg
# expect phi equal; theta equal
import numpy as np
import torch
from torch import nn
from torch.autograd import Variable

CODE, SIDE = 16, 8


class Maker(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(10, 10)
        self.layers = nn.Sequential(nn.Linear(CODE + 10, 40), nn.LeakyReLU(0.2), nn.Linear(40, SIDE * SIDE), nn.Tanh())

    def forward(self, noise, labels):
        joined = torch.cat((self.embedding(labels), noise), -1)
        return self.layers(joined).view(noise.size(0), 1, SIDE, SIDE)


class Judge(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(10, 10)
        self.layers = nn.Sequential(nn.Linear(SIDE * SIDE + 10, 40), nn.LeakyReLU(0.2), nn.Linear(40, 1))

    def forward(self, img, labels):
        return self.layers(torch.cat((img.view(img.size(0), -1), self.embedding(labels)), -1))


maker, judge = Maker(), Judge()
bce = nn.BCEWithLogitsLoss()
maker_optimizer = torch.optim.Adam(maker.parameters(), lr=2e-4)
judge_optimizer = torch.optim.Adam(judge.parameters(), lr=2e-4)
FloatTensor, LongTensor = torch.FloatTensor, torch.LongTensor


def train(imgs, labels):
    size = imgs.shape[0]
    valid = Variable(FloatTensor(size, 1).fill_(1.0), requires_grad=False)
    fake = Variable(FloatTensor(size, 1).fill_(0.0), requires_grad=False)
    labels = Variable(labels.type(LongTensor))

    maker_optimizer.zero_grad()
    z = Variable(FloatTensor(np.random.normal(0, 1, (size, CODE))))
    made_labels = Variable(LongTensor(np.random.randint(0, 10, size)))
    made = maker(z, made_labels)
    bce(judge(made, made_labels), valid).backward()
    maker_optimizer.step()

    judge_optimizer.zero_grad()
    real_loss = bce(judge(imgs, labels), valid)
    fake_loss = bce(judge(made.detach(), made_labels), fake)
    ((real_loss + fake_loss) / 2).backward()
    judge_optimizer.step()


FACTORS = {"p_theta": maker, "q_phi": judge}
STEP = train
