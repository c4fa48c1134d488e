"""Random streams: every draw has a name, so that no picture depends on what was drawn before it."""

import hashlib


def stream(seed: int, *names: str | int) -> int:
    """Return the seed in [0, 2⁶³) of the random stream called `names` under `seed`.

    Equal arguments give equal streams on every machine; any difference gives an unrelated one.
    """
    text = "\n".join(map(str, (seed, *names)))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1
