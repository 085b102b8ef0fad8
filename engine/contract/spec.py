"""``spec.json``: everything that determines a run, written once before it trains."""

from __future__ import annotations

import msgspec
from msgspec import Struct

from engine.contract.experiment import Settings


class Spec(Struct, frozen=True):
    """A run's settings with what the host added: fingerprints of its inputs, versions, device and code state."""

    settings: Settings
    settings_fingerprint: str
    data_fingerprint: str
    encoder_fingerprint: str
    eval_fingerprint: str
    device: str
    versions: dict[str, str]
    git: str


decode = msgspec.json.Decoder(Spec).decode
