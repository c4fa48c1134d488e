"""The network that learns stage 1 or 2: words and picture in one, or its inner levels alone."""

import torch
from diffusers import UNet2DConditionModel
from torch import Tensor, nn

from generators.mini_if.examples import Example


class Painter(nn.Module):
    """A text encoder and a UNet without its `level` outermost levels, from tokens and x_t to v.

    At level 0 that is the whole UNet, which also tells its spread. Else `stem` takes the place of
    the levels left out on the way down, `head` on the way up.
    """

    def __init__(self, encoder: nn.Module, unet: UNet2DConditionModel, level: int = 0) -> None:
        super().__init__()
        self.encoder, self.unet, self.level = encoder, unet, level
        unet.requires_grad_(True)
        if level:
            channels = unet.config.block_out_channels
            self.stem = nn.Conv2d(3, channels[level - 1], 3, padding=1)
            self.head = nn.Sequential(
                nn.GroupNorm(unet.config.norm_num_groups, channels[level]), nn.SiLU(),
                nn.Conv2d(channels[level], 3, 3, padding=1),
            )  # fmt: skip
            for layer in outer(unet, level):
                layer.requires_grad_(False)

    def forward(self, x_t: Tensor, example: Example) -> Tensor:
        """Return v of x_t (B, 3, H, W), and at level 0 the spread too: (B, 6, H, W)."""
        text = self.encoder(example.tokens, (example.tokens != 0).long())[0]
        if self.level:
            return self.inner(x_t, example.t, text)
        given = torch.cat([x_t, example.low], dim=1)
        (output,) = self.unet(given, example.t, text, example.level, return_dict=False)
        return torch.as_tensor(output)

    def inner(self, x_t: Tensor, t: Tensor, text: Tensor) -> Tensor:
        """Do what UNet2DConditionModel.forward does, with the inner levels alone."""
        unet = self.unet
        told = unet.time_embedding(unet.time_proj(t).to(x_t)) + unet.add_embedding(text)
        words = unet.encoder_hid_proj(text)
        x = self.stem(x_t)
        kept = [x]
        for block in unet.down_blocks[self.level :]:
            x, each = block(x, told, **attending(block, words))
            kept += each
        x = unet.mid_block(x, told, **attending(unet.mid_block, words))
        blocks = unet.up_blocks[: len(unet.up_blocks) - self.level]
        for block in blocks:
            count = len(block.resnets)
            kept, each = kept[:-count], tuple(kept[-count:])
            enlarging = block.upsamplers
            block.upsamplers = None if block is blocks[-1] else enlarging
            x = block(x, each, told, **attending(block, words))
            block.upsamplers = enlarging
        return torch.as_tensor(self.head(x))


def attending(block: nn.Module, words: Tensor) -> dict[str, Tensor]:
    return {"encoder_hidden_states": words} if getattr(block, "has_cross_attention", False) else {}


def outer(unet: UNet2DConditionModel, level: int) -> list[nn.Module]:
    """Return the layers that the inner levels do without."""
    last = len(unet.up_blocks) - level - 1
    return [
        unet.conv_in, *unet.down_blocks[:level], *unet.up_blocks[last + 1 :],
        unet.up_blocks[last].upsamplers, unet.conv_norm_out, unet.conv_out,
    ]  # fmt: skip
