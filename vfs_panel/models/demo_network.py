"""The small residual network that comes with the demo pictures: an ordinary `nn.Module`, no pictures, no files."""

import torch.nn.functional as F
from torch import Tensor, nn

INPUT_PX = 224
MEAN, STD = (0.44, 0.42, 0.40), (0.25, 0.25, 0.25)
"""Of RGB in 0..1: pictures are normalised before they reach the network, as for any other network."""

STRIDES_PX = {"stage2": 8, "stage3": 16, "stage4": 32}
"""The layers to search, and input pixels per cell."""

CLASSES = 26


class Block(nn.Module):
    """Two 3×3 convolutions beside a skip (He et al. 2016, pre-activation).

    The sum is left signed and the next block rectifies it: cosines between signed features tell more apart.
    """

    def __init__(self, channels_in: int, channels: int, stride: int = 1) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels_in, channels, 3, stride, 1, bias=False)
        self.norm1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, 1, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(channels)
        self.skip = nn.Sequential(nn.Conv2d(channels_in, channels, 1, stride, bias=False), nn.BatchNorm2d(channels))

    def forward(self, x: Tensor) -> Tensor:
        """Map (n, channels_in, y, x) to (n, channels, y / stride, x / stride)."""
        x = F.relu(x)
        inner = self.conv2(F.relu(self.norm1(self.conv1(x))))
        return self.norm2(inner) + self.skip(x)  # type: ignore[no-any-return]


class DemoNet(nn.Module):
    """Normalised 224×224 RGB -> subject scores, in 825,362 parameters.

    Search `stage2` (64 channels, 28×28 cells), `stage3` (128, 14×14) or `stage4` (160, 7×7).

    Parameters
    ----------
    classes : int
        Number of subjects.
    """

    def __init__(self, classes: int = CLASSES) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 24, 5, 2, 2, bias=False), nn.BatchNorm2d(24))
        self.stage1 = Block(24, 32, 2)
        self.stage2 = nn.Sequential(Block(32, 64, 2), Block(64, 64))
        self.stage3 = nn.Sequential(Block(64, 128, 2))
        self.stage4 = nn.Sequential(Block(128, 160, 2))
        self.head = nn.Linear(160, classes)

    def stages(self, x: Tensor) -> dict[str, Tensor]:
        """Return the signed outputs (n, channel, y, x) of the stages that are searched."""
        x = self.stage1(self.stem(x))
        two = self.stage2(x)
        three = self.stage3(two)
        return {"stage2": two, "stage3": three, "stage4": self.stage4(three)}

    def classify(self, last: Tensor) -> Tensor:
        """Return subject scores (n, class) from the output of stage4."""
        return self.head(F.relu(last).mean((2, 3)))  # type: ignore[no-any-return]

    def forward(self, x: Tensor) -> Tensor:
        """Map normalised pictures (n, 3, y, x) to subject scores (n, class)."""
        return self.classify(self.stages(x)["stage4"])
