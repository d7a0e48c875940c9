"""What qai-hub-models asks of a model: how it is made, and what goes in and comes out."""

from __future__ import annotations

import torch
import torchvision
from qai_hub_models.utils.base_model import BaseModel
from qai_hub_models.utils.input_spec import ColorFormat, ImageMetadata, IoType, TensorSpec


class MobileNet(BaseModel):
    """An image of 224 x 224 pixels in, a figure for each of 1000 classes out."""

    def __init__(self, net: torch.nn.Module) -> None:
        super().__init__()
        self.net = net

    @classmethod
    def from_pretrained(cls) -> MobileNet:
        """Always the same random weights: nothing is downloaded."""
        torch.manual_seed(0)
        net = torchvision.models.mobilenet_v2(weights=None)
        for layer in net.modules():
            if isinstance(layer, torch.nn.BatchNorm2d):
                layer.momentum = 1.0
        with (
            torch.no_grad()
        ):  # statistics of a batch, without which random layers let next to nothing of an image through
            net.train()(torch.rand(4, 3, 224, 224))
        return cls(net.eval())

    def forward(self, image_tensor: torch.Tensor) -> torch.Tensor:
        """The classes' figures."""
        return self.net(image_tensor)

    def get_input_spec(self) -> dict[str, TensorSpec]:
        """One RGB image between 0 and 1."""
        image = TensorSpec(
            shape=(1, 3, 224, 224),
            dtype="float32",
            io_type=IoType.IMAGE,
            value_range=(0.0, 1.0),
            image_metadata=ImageMetadata(color_format=ColorFormat.RGB),
            apply_runtime_channel_reordering=True,
        )
        return {"image_tensor": image}

    def get_output_spec(self) -> dict[str, TensorSpec]:
        """One figure for each class."""
        return {"class_logits": TensorSpec(io_type=IoType.TENSOR)}
