"""Pretrained speech encoders as front ends: the lower blocks of a network trained on far more speech."""

from serkit.encoders.base import Encoder
from serkit.encoders.folder import find_encoder
from serkit.encoders.hub import fetch_encoder
from serkit.encoders.registry import read_encoder
from serkit.encoders.wav2vec2 import Wav2Vec2Encoder
from serkit.encoders.whisper import WhisperEncoder

__all__ = ["Encoder", "Wav2Vec2Encoder", "WhisperEncoder", "fetch_encoder", "find_encoder", "read_encoder"]
