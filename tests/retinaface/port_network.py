"""The network of the PyTorch port, restated plainly from its description, with its key names.

Nothing of mmext is used here: it is what the converted network is compared with.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

BLOCKS = {  # channels at x0.25 and stride of each block; the first of stage 1 is a convolution
    'stage1': [(8, 2), (16, 1), (32, 2), (32, 1), (64, 2), (64, 1)],
    'stage2': [(128, 2), *[(128, 1)] * 5],
    'stage3': [(256, 2), (256, 1)],
}


def conv_bn(inputs: int, outputs: int, kernel: int, stride: int, slope: float | None) -> nn.Module:
    """Convolution, norm and, unless the slope is None, leaky ReLU."""
    layers = [
        nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False),
        nn.BatchNorm2d(outputs),
    ]
    return nn.Sequential(*layers, *([] if slope is None else [nn.LeakyReLU(slope)]))


def depthwise(inputs: int, outputs: int, stride: int) -> nn.Module:
    """Depthwise and pointwise convolution."""
    return nn.Sequential(
        nn.Conv2d(inputs, inputs, 3, stride, 1, groups=inputs, bias=False),
        nn.BatchNorm2d(inputs),
        nn.LeakyReLU(0.1),
        nn.Conv2d(inputs, outputs, 1, bias=False),
        nn.BatchNorm2d(outputs),
        nn.LeakyReLU(0.1),
    )


class MobileNet(nn.Module):
    """Three stages at strides 8, 16, 32."""

    def __init__(self) -> None:
        super().__init__()
        channels = 3
        for name, blocks in BLOCKS.items():
            stage = nn.Sequential()
            for width, stride in blocks:
                first = channels == 3
                stage.append(
                    conv_bn(3, width, 3, stride, 0.1)
                    if first
                    else depthwise(channels, width, stride)
                )
                channels = width
            setattr(self, name, stage)

    def forward(self, x: Tensor) -> list[Tensor]:
        """Outputs of the stages."""
        one = self.stage1(x)
        two = self.stage2(one)
        return [one, two, self.stage3(two)]


class Bottleneck(nn.Module):
    """The block of ResNet-50 with the stride in its 3x3 convolution."""

    def __init__(self, inputs: int, width: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, width, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, 4 * width, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(4 * width)
        if stride != 1 or inputs != 4 * width:
            self.downsample = nn.Sequential(
                nn.Conv2d(inputs, 4 * width, 1, stride, bias=False), nn.BatchNorm2d(4 * width)
            )

    def forward(self, x: Tensor) -> Tensor:
        """Residual sum."""
        y = F.relu(self.bn1(self.conv1(x)))
        y = F.relu(self.bn2(self.conv2(y)))
        shortcut = self.downsample(x) if hasattr(self, 'downsample') else x
        return F.relu(self.bn3(self.conv3(y)) + shortcut)


class ResNet50(nn.Module):
    """Layers 2 to 4."""

    def __init__(self, base: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, base, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(base)
        channels = base
        for number, count in enumerate((3, 4, 6, 3), start=1):
            layer, width = nn.Sequential(), base * 2 ** (number - 1)
            for block in range(count):
                stride = 2 if block == 0 and number > 1 else 1
                layer.append(Bottleneck(channels, width, stride))
                channels = 4 * width
            setattr(self, f'layer{number}', layer)

    def forward(self, x: Tensor) -> list[Tensor]:
        """Outputs of layers 2 to 4."""
        x = F.max_pool2d(F.relu(self.bn1(self.conv1(x))), 3, 2, 1)
        two = self.layer2(self.layer1(x))
        three = self.layer3(two)
        return [two, three, self.layer4(three)]


class Pyramid(nn.Module):
    """Laterals, sums from above, merges."""

    def __init__(self, inputs: list[int], width: int, slope: float) -> None:
        super().__init__()
        self.output1 = conv_bn(inputs[0], width, 1, 1, slope)
        self.output2 = conv_bn(inputs[1], width, 1, 1, slope)
        self.output3 = conv_bn(inputs[2], width, 1, 1, slope)
        self.merge1 = conv_bn(width, width, 3, 1, slope)
        self.merge2 = conv_bn(width, width, 3, 1, slope)

    def forward(self, inputs: list[Tensor]) -> list[Tensor]:
        """Finest first."""
        one, two, three = self.output1(inputs[0]), self.output2(inputs[1]), self.output3(inputs[2])
        two = self.merge2(two + F.interpolate(three, size=two.shape[2:], mode='nearest'))
        one = self.merge1(one + F.interpolate(two, size=one.shape[2:], mode='nearest'))
        return [one, two, three]


class Context(nn.Module):
    """3x3, 5x5 and 7x7 beside each other."""

    def __init__(self, width: int, slope: float) -> None:
        super().__init__()
        half, quarter = width // 2, width // 4
        self.conv3X3 = conv_bn(width, half, 3, 1, None)
        self.conv5X5_1 = conv_bn(width, quarter, 3, 1, slope)
        self.conv5X5_2 = conv_bn(quarter, quarter, 3, 1, None)
        self.conv7X7_2 = conv_bn(quarter, quarter, 3, 1, slope)
        self.conv7x7_3 = conv_bn(quarter, quarter, 3, 1, None)

    def forward(self, x: Tensor) -> Tensor:
        """Concatenated."""
        five = self.conv5X5_1(x)
        seven = self.conv7x7_3(self.conv7X7_2(five))
        return F.relu(torch.cat([self.conv3X3(x), self.conv5X5_2(five), seven], dim=1))


class Head(nn.Module):
    """A 1x1 convolution for two priors per cell."""

    def __init__(self, width: int, numbers: int) -> None:
        super().__init__()
        self.numbers = numbers
        self.conv1x1 = nn.Conv2d(width, 2 * numbers, 1)

    def forward(self, x: Tensor) -> Tensor:
        """One row per prior."""
        y = self.conv1x1(x).permute(0, 2, 3, 1).contiguous()
        return y.view(len(x), -1, self.numbers)


class PortNetwork(nn.Module):
    """Returns boxes, class logits and landmarks of all priors, as trained."""

    def __init__(self, body: nn.Module, inputs: list[int], width: int) -> None:
        super().__init__()
        slope = 0.1 if width <= 64 else 0.0
        self.body = body
        self.fpn = Pyramid(inputs, width, slope)
        self.ssh1, self.ssh2, self.ssh3 = (Context(width, slope) for _ in range(3))
        for name, numbers in (('ClassHead', 2), ('BboxHead', 4), ('LandmarkHead', 10)):
            setattr(self, name, nn.ModuleList(Head(width, numbers) for _ in range(3)))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Class logits, box deltas, landmark offsets."""
        levels = self.fpn(self.body(x))
        levels = [self.ssh1(levels[0]), self.ssh2(levels[1]), self.ssh3(levels[2])]
        return tuple(
            torch.cat([head(level) for head, level in zip(heads, levels, strict=True)], dim=1)
            for heads in (self.ClassHead, self.BboxHead, self.LandmarkHead)
        )


def randomise(network: nn.Module) -> nn.Module:
    """Weights and running statistics that no two channels share."""
    torch.manual_seed(0)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.uniform_(module.bias, -0.5, 0.5)
            module.running_mean.uniform_(-0.5, 0.5)
            module.running_var.uniform_(0.5, 1.5)
    return network.eval()
