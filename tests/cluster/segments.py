# SPDX-License-Identifier: Apache-2.0
"""Reads a node's journal as daemon/journal/format.h lays it out, and flips bits in it."""

import glob
import os
import struct

BLOCK, SECTOR, MARK, ROOM = 4096, 512, 4, 508
BATCH_MAGIC, ENTRY = 0x31424648, 1
BATCH_HEAD, RECORD_HEAD = struct.Struct("<IIQIIII"), struct.Struct("<IBBHIIIIQQ")
BATCH_HEAD_SIZE = 120


class Batch:
    """One batch; image offsets are turned into file offsets by at()."""

    def __init__(self, path, offset, head, content):
        self.path, self.offset = path, offset
        _, _, self.sequence, self.sectors, self.record_count, _, _ = head
        self.content = content[offset:offset + self.sectors * SECTOR]
        self.records = [RECORD_HEAD.unpack(self.image(BATCH_HEAD_SIZE + i * RECORD_HEAD.size, RECORD_HEAD.size))
                        for i in range(self.record_count)]

    @staticmethod
    def place(image_offset):
        return image_offset // ROOM * SECTOR + MARK + image_offset % ROOM

    def image(self, offset, size):
        return bytes(self.content[self.place(i)] for i in range(offset, offset + size))

    def payloads(self):
        """(image offset, size) of the payloads of log entries."""
        return [(r[7], r[5]) for r in self.records if r[1] == ENTRY and r[5]]

    def payload(self, which):
        """The bytes of that log entry."""
        return self.image(*self.payloads()[which])

    def flip(self, place, bit=0):
        """Flips one bit of the byte at place, counted from the start of the batch on disk."""
        with open(self.path, "r+b") as f:
            f.seek(self.offset + place)
            byte = f.read(1)[0]
            f.seek(self.offset + place)
            f.write(bytes([byte ^ 1 << bit]))
            f.flush()
            os.fsync(f.fileno())

    def flip_payload(self, which=0):
        offset, size = self.payloads()[which]
        self.flip(self.place(offset + size // 2), 3)

    def flip_heads(self):
        """Both copies of the batch's head: what stood in it is unknown then."""
        self.flip(MARK + 8)
        self.flip(self.place(self.sectors * ROOM - BATCH_HEAD_SIZE + 8))

    def __str__(self):
        return "%s offset %d sequence %d, %d sectors, %d records" % (
            os.path.basename(self.path), self.offset, self.sequence, self.sectors, self.record_count)


def batches(data, lane=0):
    """All batches of a dead node's lane, in the order of their sequences."""
    found = []
    for path in glob.glob(os.path.join(data, "lane-%d" % lane, "seg-*")):
        with open(path, "rb") as f:
            content = f.read()
        at = BLOCK
        while at + BLOCK <= len(content):
            head = BATCH_HEAD.unpack_from(content, at + MARK)
            size = head[3] * SECTOR
            whole = head[0] == BATCH_MAGIC and size and size % BLOCK == 0 and at + size <= len(content)
            if not whole:
                at += BLOCK
                continue
            found.append(Batch(path, at, head, content))
            at += size
    return sorted(found, key=lambda b: b.sequence)


def used_bytes(some):
    return sum(b.sectors * SECTOR for b in some)
