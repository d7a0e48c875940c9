"""A recipe of one's own for qai-hub-models: torchvision's MobileNet v2 with random weights."""

from .model import MobileNet as Model

__all__ = ["Model"]
