# SPDX-License-Identifier: GPL-2.0-or-later
"""G.711 (ITU-T G.711 tables 1a and 2a): samples of 16 bits to characters and back."""


def _from_ulaw(c):
    c = ~c & 0xff
    value = (((c & 15) << 1) + 33 << (c >> 4 & 7)) - 33
    return (-value if c & 0x80 else value) * 4


def _from_alaw(c):
    c ^= 0x55
    segment, step = c >> 4 & 7, c & 15
    value = (2 * step + 33) << (segment - 1) if segment else 2 * step + 1
    return (value if c & 0x80 else -value) * 8


FROM = {"PCMU": [_from_ulaw(c) for c in range(256)], "PCMA": [_from_alaw(c) for c in range(256)]}
_SORTED = {law: sorted((value, c) for c, value in enumerate(values))
           for law, values in FROM.items()}


def decode(law, data):
    return [FROM[law][c] for c in data]


def encode(law, samples):
    """To the nearest."""
    return bytes(min(_SORTED[law], key=lambda v, s=s: abs(v[0] - s))[1] for s in samples)
