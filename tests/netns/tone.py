# SPDX-License-Identifier: GPL-2.0-or-later
"""Tones as WAV files, and finding them again in a recording."""
import array
import math
import os
import wave

RATE = 8000
BLOCK = 800         # 100 ms


def write(path, frequency, seconds, rate=RATE, amplitude=10000):
    samples = array.array("h", (int(amplitude * math.sin(2 * math.pi * frequency * i / rate))
                                for i in range(int(rate * seconds))))
    with wave.open(path, "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(rate)
        out.writeframes(samples.tobytes())


def read(path):
    """(rate, samples) of a mono 16-bit WAV; also one whose header was never completed."""
    with open(path, "rb") as f:
        data = f.read()
    rate = int.from_bytes(data[24:28], "little") if len(data) >= 44 else RATE
    at = data.find(b"data") + 8
    body = data[at:] if at >= 44 else b""
    return rate, array.array("h", body[:len(body) // 2 * 2])


def power(samples, frequency, rate):
    """Goertzel: the share of these samples' energy that lies at `frequency`, 0 to 1."""
    energy = sum(s * s for s in samples)
    if not energy:
        return 0.0
    w = 2 * math.pi * frequency / rate
    coeff, s1, s2 = 2 * math.cos(w), 0.0, 0.0
    for sample in samples:
        s1, s2 = sample + coeff * s1 - s2, s1
    magnitude = s1 * s1 + s2 * s2 - coeff * s1 * s2
    return min(1.0, 2 * magnitude / (len(samples) * energy))


def level(samples):
    return math.sqrt(sum(s * s for s in samples) / len(samples)) if len(samples) else 0.0


class Heard:
    """What of a recording is the wanted tone: seconds of it, and of anything else audible."""

    def __init__(self, path, frequency):
        self.judge(*(read(path) if os.path.exists(path) else (RATE, [])), frequency)

    @classmethod
    def of_samples(cls, rate, samples, frequency):
        heard = cls.__new__(cls)
        heard.judge(rate, samples, frequency)
        return heard

    def judge(self, rate, samples, frequency):
        block = BLOCK * rate // RATE
        self.seconds = len(samples) / rate
        self.tone = self.other = 0.0
        for i in range(0, len(samples) - block + 1, block):
            part = samples[i:i + block]
            if level(part) < 100:
                continue
            if power(part, frequency, rate) > 0.8:
                self.tone += block / rate
            else:
                self.other += block / rate
        self.frequency = frequency

    def good(self, seconds):
        """At least so much of the tone, and nearly nothing else."""
        return self.tone >= seconds and self.other <= 0.2 * self.tone

    def __str__(self):
        return (f"{self.tone:.1f} s of {self.frequency} Hz, {self.other:.1f} s of anything else, "
                f"in {self.seconds:.1f} s recorded")
