"""Pretrained speech encoders as front ends: the lower blocks of a network trained on far more speech."""

from serkit.encoders.folder import find_encoder
from serkit.encoders.whisper import WhisperEncoder

__all__ = ["WhisperEncoder", "find_encoder"]
