"""Stage 1 learns small pictures first: the inner levels of its UNet alone, then one level more.

At 16 × 16 pixels a picture costs a fraction of one at 64 × 64, and what a text means, where things
stand and which colours they have is all there. So the levels that learn it begin alone, on the
process that the large pictures go through seen through averaged pixels: a pixel of k × k has the
same mean and noise of 1/k the size. Each new level is taught what the levels inside it were told
before (Karras et al. 2018 grow GANs in this way).
"""

import torch
from torch.nn.functional import avg_pool2d, mse_loss

from generators.mini_if.examples import Examples
from generators.mini_if.painter import Painter

BATCH = 16


def graft(larger: Painter, smaller: Painter, examples: Examples, batches: int) -> float:
    """Teach a new outermost level what the stem in its place told the levels inside it.

    `examples` are of the larger size. Returns the share of the stem's variance that the new level
    misses in the end.
    """
    device = smaller.stem.weight.device
    larger.to(device)
    unet, level = larger.unet, larger.level
    enter = larger.stem if level else unet.conv_in
    block = unet.down_blocks[level]
    learning = [*enter.parameters(), *block.parameters()]
    optimizer = torch.optim.AdamW(learning, 2e-3)
    missed = 1.0
    for number in range(batches):
        batch = [examples[number * BATCH + each] for each in range(BATCH)]
        x, noise, t, tokens, *_ = (torch.stack(each) for each in zip(*batch, strict=True))
        kept = examples.noising.alpha_bar[t].float()[:, None, None, None]
        x_t = (kept.sqrt() * x + (1 - kept).sqrt() * noise).to(device)
        t, tokens = t.to(device), tokens.to(device)
        with torch.no_grad():
            text = larger.encoder(tokens, (tokens != 0).long())[0]
            told = unet.time_embedding(unet.time_proj(t)) + unet.add_embedding(text)
            wanted = smaller.stem(avg_pool2d(x_t, 2))
        found, _ = block(enter(x_t), told)
        loss = mse_loss(found, wanted) / wanted.var()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        missed = 0.9 * missed + 0.1 * loss.item()
    return missed
