#!/usr/bin/env python3
"""Makes cooked.pcapng.gz: two packets of a Linux cooked capture, the second one cut when it was captured."""
import gzip, struct

def block(kind, body):
    size = 12 + len(body)
    return struct.pack("<II", kind, size) + body + struct.pack("<I", size)

capture = block(0x0A0D0D0A, struct.pack("<IHHq", 0x1A2B3C4D, 1, 0, -1))
capture += block(1, struct.pack("<HHI", 113, 0, 0))
cooked = struct.pack(">HHH6sHH", 0, 1, 6, bytes([2, 0, 0, 0, 0, 1]), 0, 0x800)
ip = bytes([0x45, 0, 0, 20, 0, 0, 0, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2])
for on_wire in (36, 1400):
    packet = cooked + ip
    capture += block(6, struct.pack("<IIIII", 0, 0, 5, len(packet), on_wire) + packet)
with open("cooked.pcapng.gz", "wb") as out:
    out.write(gzip.compress(capture, mtime=0))
