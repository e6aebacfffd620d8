"""Reads what Drumfire writes: its own result file (`--json`) with the histograms inside."""

import base64
import json
import struct
from collections import Counter
from pathlib import Path

SUB_BUCKETS = 2048  # of three significant digits
HALF = SUB_BUCKETS // 2
HEADER = struct.Struct(">iiiiqqd")
COOKIE = 0x1C849313


def read(path):
    """The content of a result file."""
    return json.loads(Path(path).read_text())["drumfire"]


class Histogram:
    """Counts of values, added up from any number of written histograms."""

    def __init__(self, *written):
        self.counts, self.sum = Counter(), 0
        for one in written:
            if one and one["count"]:
                self.sum += one["sum"]
                self.counts.update(decode(base64.b64decode(one["hdr"])))
        self.count = sum(self.counts.values())

    def mean(self):
        return self.sum / self.count if self.count else 0

    def quantile(self, part):
        """The middle of the bucket in which this part of all values is reached."""
        rank, seen = max(1, -(-part * self.count // 1)), 0
        for value in sorted(self.counts):
            seen += self.counts[value]
            if seen >= rank:
                return value
        return 0


def decode(encoded):
    """The counts in an HdrHistogram V2 encoding, by the middle of their bucket."""
    cookie, length, _, digits, _, _, _ = HEADER.unpack_from(encoded)
    if cookie != COOKIE or digits != 3:
        raise ValueError(f"not a V2 histogram of three digits: cookie {cookie:#x}, {digits} digits")
    counts, index = {}, 0
    for number in zigzags(encoded[HEADER.size : HEADER.size + length]):
        if number < 0:
            index += -number
            continue
        if number:
            counts[middle(index)] = number
        index += 1
    return counts


def zigzags(encoded):
    """Numbers in ZigZag LEB128, at most nine bytes each."""
    number, shift = 0, 0
    for byte in encoded:
        if shift == 56:
            number |= byte << shift
        else:
            number |= (byte & 0x7F) << shift
            if byte & 0x80:
                shift += 7
                continue
        yield (number >> 1) ^ -(number & 1)
        number, shift = 0, 0


def middle(index):
    """The middle of the values that a bucket counts."""
    bucket, sub = index // HALF - 1, index % HALF + HALF
    if bucket < 0:
        bucket, sub = 0, sub - HALF
    return (sub << bucket) + ((1 << bucket) >> 1)
