# SPDX-License-Identifier: GPL-2.0-or-later
"""Music on hold: files whose every packet can be told apart, and judging what a listener heard."""
import audioop
import random
import struct
import wave

from rtp import PAYLOAD
from tap import check, equal, wait_for

CODE = {0: audioop.lin2ulaw, 8: audioop.lin2alaw}      # by payload number


class Tune:
    """Noise in a WAV file; `samples` is no multiple of a packet, so that the seam is heard, too."""

    def __init__(self, path, samples=8077, seed=1):
        self.path = path
        # Linear values that both codings have: what is played is known to the byte.
        values = [v for v in range(-32768, 32768, 8)
                  if all(decoded(pt, code(v)) == v for pt, code in CODERS.items())]
        choose = random.Random(seed)
        self.pcm = struct.pack(f"<{samples}h", *(choose.choice(values) for _ in range(samples)))
        with wave.open(path, "wb") as out:
            out.setparams((1, 2, 8000, 0, "NONE", ""))
            out.writeframes(self.pcm)

    def payload(self, pt, start, count):
        """`count` packets from sample `start` on, in a loop, as one string."""
        coded = CODE[pt](self.pcm, 2)
        at, need = start % len(coded), count * PAYLOAD
        return (coded[at:] + coded * (need // len(coded) + 1))[:need]


def coder(pt):
    return lambda value: CODE[pt](struct.pack("<h", value), 2)


def decoded(pt, byte):
    back = audioop.ulaw2lin if pt == 0 else audioop.alaw2lin
    return struct.unpack("<h", back(byte, 2))[0]


CODERS = {pt: coder(pt) for pt in CODE}


class Packet:
    def __init__(self, got):
        _, _, self.source, self.when, data = got
        self.data = data
        flags, kind, self.seq, self.timestamp, self.ssrc = struct.unpack("!BBHII", data[:12])
        equal(flags, 0x80, "version, padding, extension and sources")
        self.marker, self.pt = kind >> 7, kind & 127
        self.payload = data[12:]


def played(end):
    """The RTP packets that an end heard and no phone of the lab sent."""
    return [Packet(g) for g in list(end.rtp.got) if g[0] is None]


def hears(end, count, timeout=8.0, after=0):
    """Waits until so many packets of music came, behind the first `after`; returns them."""
    wait_for(lambda: len(played(end)) >= after + count, timeout,
             lambda: f"{count} packets of music; heard {len(played(end)) - after}")
    return played(end)[after:]


def is_tune(packets, tune, source, pt=0, start=0, fresh=True):
    """One RTP source that plays that file from sample `start` on, from the relay's address; gaps of
    the timestamps are what the machine was late with, and are few."""
    first = packets[0]
    check(packets, "no music was heard")
    equal({p.source for p in packets}, {source}, "where the music comes from")
    equal({p.ssrc for p in packets}, {first.ssrc}, "SSRC")
    equal({p.pt for p in packets}, {pt}, "payload number")
    equal([p.marker for p in packets], [int(fresh)] + [0] * (len(packets) - 1), "markers")
    equal([(p.seq - first.seq) & 0xffff for p in packets], list(range(len(packets))), "sequence")
    steps = [(b.timestamp - a.timestamp) & 0xffffffff for a, b in zip(packets, packets[1:])]
    check(all(s % PAYLOAD == 0 and 0 < s < 100 * PAYLOAD for s in steps), "timestamps:", steps)
    equal(b"".join(p.payload for p in packets), tune.payload(pt, start, len(packets)), "audio")
    return first.ssrc
