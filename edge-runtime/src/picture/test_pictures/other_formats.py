"""Writes test_pictures/other_formats.txt: small pictures and the pixels that Pillow 13.0.0 reads from them.

python3 other_formats.py other_formats.txt

Each line: name, width, height, the file in hex, Pillow's convert("RGB") in hex.
"""
import io, struct, sys, zlib
from PIL import Image, ImageOps

W, H = 7, 5
RGB = bytes((37 * i * i + 101 * i) % 256 for i in range(W * H * 3))
GRAY = RGB[: W * H]
PALETTE = bytes((i * 73 + c * 50) % 256 for i in range(256) for c in range(3))
files = {}


def add(name, data):
    files[name] = data


def pil(name, im, **options):
    out = io.BytesIO()
    im.save(out, **options)
    add(name, out.getvalue())


rgb = Image.frombytes("RGB", (W, H), RGB)
gray = Image.frombytes("L", (W, H), GRAY)
alpha = Image.frombytes("L", (W, H), RGB[W * H : 2 * W * H])
rgba = rgb.copy()
rgba.putalpha(alpha)
la = gray.copy()
la.putalpha(alpha)


def indexed(colours):
    im = Image.frombytes("P", (W, H), bytes(v % colours for v in GRAY))
    im.putpalette(PALETTE[: 3 * colours])
    return im


# ---- GIF
pil("gif palette of 5", indexed(5), format="GIF")
pil("gif palette of 256", indexed(256), format="GIF", interlace=0)
pil("gif interlaced", indexed(16), format="GIF", interlace=1)
pil("gif gray", gray, format="GIF")
pil("gif transparent", indexed(16), format="GIF", transparency=3)
pil("gif animated", indexed(16), format="GIF", save_all=True,
    append_images=[indexed(7), indexed(3)], duration=50, loop=0)


def lzw_gif(indices, bits):
    """Codes of one width: a clear code before the table grows."""
    clear, width = 1 << bits, bits + 1
    codes = []
    for i, v in enumerate(indices):
        if i % ((1 << bits) - 2) == 0:
            codes.append(clear)
        codes.append(v)
    codes.append(clear + 1)
    n = sum(c << (width * i) for i, c in enumerate(codes))
    data = n.to_bytes((width * len(codes) + 7) // 8, "little")
    blocks = b"".join(bytes([len(data[i:i + 255])]) + data[i:i + 255] for i in range(0, len(data), 255))
    return bytes([bits]) + blocks + b"\0"


def gif(screen, at, size, indices, bits=4, palette=None, local=None, transparent=None):
    n = (len(palette or b"") // 3).bit_length() - 2 if palette else 0
    f = b"GIF89a" + struct.pack("<HHBBB", *screen, (0x80 | n) if palette else 0, 2, 0) + (palette or b"")
    if transparent is not None:
        f += b"!\xf9\x04" + struct.pack("<BHB", 1, 10, transparent) + b"\0"
    m = (len(local or b"") // 3).bit_length() - 2 if local else 0
    f += b"," + struct.pack("<HHHHB", *at, *size, (0x80 | m) if local else 0) + (local or b"")
    return f + lzw_gif(indices, bits) + b";"


small = bytes(v % 16 for v in GRAY[:12])
add("gif frame inside of the screen", gif((W, H), (2, 1), (4, 3), small, palette=PALETTE[:48]))
add("gif frame inside, transparent", gif((W, H), (2, 1), (4, 3), small, palette=PALETTE[:48], transparent=6))
add("gif frame beyond the screen", gif((5, 2), (3, 1), (4, 3), small, palette=PALETTE[:48]))
add("gif palette of the frame", gif((4, 3), (0, 0), (4, 3), small, palette=PALETTE[:48], local=PALETTE[100:148]))
add("gif index beyond the palette", gif((4, 3), (0, 0), (4, 3), small, palette=PALETTE[:24]))

# ---- BMP
for mode, im in [("1", gray.convert("1")), ("gray", gray), ("palette", indexed(256)), ("24", rgb), ("32", rgba)]:
    pil(f"bmp {mode}", im, format="BMP")


def bmp(w, h, bits, compression, data, palette=b"", header=40, masks=b"", colours=0, entry=4):
    size = struct.pack("<HHHH", w, h, 1, bits) if header == 12 else struct.pack(
        "<iiHHIIiiII", w, h, 1, bits, compression, len(data), 2835, 2835, colours, 0)
    head = struct.pack("<I", header) + size
    inside = max(0, header - 40)
    head += (masks + bytes(inside))[:inside] if inside else masks
    offset = 14 + len(head) + len(palette)
    return b"BM" + struct.pack("<IHHI", offset + len(data), 0, 0, offset) + head + palette + data


def bgrx(colours, entry=4):
    return b"".join(PALETTE[3 * i:3 * i + 3][::-1] + bytes(entry - 3) for i in range(colours))


def rows(bits, values):
    out = b""
    for y in range(H):
        n = 0
        for v in values[y * W:(y + 1) * W]:
            n = n << bits | v % (1 << bits)
        length = (W * bits + 31) // 32 * 32
        out += (n << (length - W * bits)).to_bytes(length // 8, "big")
    return out


def words(values):
    return b"".join(b"".join(struct.pack("<H", v) for v in values[y * W:(y + 1) * W]) + bytes(-2 * W % 4) for y in range(H))


sixteen = [(a * 263 + i * 7919) % 65536 for i, a in enumerate(GRAY)]
long = [(a * 2654435761 + i * 40503) % 2**32 for i, a in enumerate(GRAY)]
pixels24 = b"".join(RGB[y * W * 3:(y + 1) * W * 3] + bytes(-3 * W % 4) for y in range(H))
pixels32 = struct.pack(f"<{W * H}I", *long)
add("bmp 1 with colours", bmp(W, H, 1, 0, rows(1, GRAY), bgrx(2)))
add("bmp 4", bmp(W, H, 4, 0, rows(4, GRAY), bgrx(16)))
add("bmp 4 with a short palette", bmp(W, H, 4, 0, rows(4, GRAY), bgrx(9), colours=9))
add("bmp 8, OS/2", bmp(W, H, 8, 0, rows(8, GRAY), bgrx(256, 3), header=12))
add("bmp 24, from the top", bmp(W, -H, 24, 0, pixels24))
add("bmp 16", bmp(W, H, 16, 0, words(sixteen)))
add("bmp 16, 565", bmp(W, H, 16, 3, words(sixteen), masks=struct.pack("<III", 0xF800, 0x7E0, 0x1F)))
add("bmp 32, not used", bmp(W, H, 32, 0, pixels32))
add("bmp 32, RGBA masks", bmp(W, H, 32, 3, pixels32, header=108,
                              masks=struct.pack("<IIII", 0xFF, 0xFF00, 0xFF0000, 0xFF000000)))
add("bmp 32, XBGR masks", bmp(W, H, 32, 3, pixels32, masks=struct.pack("<III", 0xFF000000, 0xFF0000, 0xFF00)))
add("bmp 24, v5", bmp(W, H, 24, 0, pixels24, header=124))
runs8 = bytes([3, 9, 4, 200, 0, 0, 0, 7, 1, 2, 3, 4, 5, 6, 7, 0, 0, 0, 2, 77, 0, 2, 2, 1, 3, 8,
               0, 0, 7, 60, 0, 1])
add("bmp runs of 8", bmp(W, H, 8, 1, runs8, bgrx(256)))
runs4 = bytes([7, 0x3C, 0, 0, 0, 5, 0x12, 0x34, 0x50, 0, 2, 0xF1, 0, 0, 0, 7, 0x98, 0x76, 0x54, 0x30,
               0, 0, 3, 0xAB, 4, 0x11, 0, 0, 7, 0x25, 0, 1])
add("bmp runs of 4", bmp(W, H, 4, 2, runs4, bgrx(16)))

# ---- WebP
smooth = Image.new("RGB", (24, 16))
smooth.putdata([(x * 10, y * 15, 255 - x * 5 - y * 3) for y in range(16) for x in range(24)])
see_through = smooth.copy()
see_through.putalpha(Image.frombytes("L", (24, 16), bytes((x * 11) % 256 for x in range(24)) * 16))
pil("webp lossless", rgb, format="WEBP", lossless=True)
pil("webp lossless with alpha", rgba, format="WEBP", lossless=True, exact=True)
pil("webp lossy", smooth, format="WEBP", quality=80)
pil("webp lossy with alpha", see_through, format="WEBP", quality=70)
pil("webp animated", rgba, format="WEBP", lossless=True, exact=True, save_all=True,
    append_images=[Image.new("RGBA", (W, H), (1, 2, 3, 255))], duration=40)
exif = Image.Exif()
exif[0x0112] = 6
pil("webp turned", rgb, format="WEBP", lossless=True, exif=exif)


def riff(chunks):
    body = b"WEBP" + b"".join(n + struct.pack("<I", len(d)) + d + bytes(len(d) % 2) for n, d in chunks)
    return b"RIFF" + struct.pack("<I", len(body)) + body


def u24(n):
    return struct.pack("<I", n)[:3]


out = io.BytesIO()
rgba.save(out, format="WEBP", lossless=True, exact=True)
still = out.getvalue()
vp8l = still[still.index(b"VP8L"):]
vp8l = vp8l[8:8 + struct.unpack("<I", vp8l[4:8])[0]]
frame = u24(2) + u24(1) + u24(W - 1) + u24(H - 1) + u24(40) + b"\0" + b"VP8L" + struct.pack("<I", len(vp8l)) + vp8l + bytes(len(vp8l) % 2)
add("webp frame inside of the canvas", riff([
    (b"VP8X", bytes([0x12, 0, 0, 0]) + u24(13) + u24(9)), (b"ANIM", bytes(6)), (b"ANMF", frame), (b"ANMF", frame)]))

# ---- TIFF
pil("tiff rgb", rgb, format="TIFF")
for compression in ["tiff_lzw", "tiff_adobe_deflate", "packbits"]:
    pil(f"tiff rgb {compression}", rgb, format="TIFF", compression=compression)
pil("tiff jpeg", smooth, format="TIFF", compression="jpeg", quality=90)
pil("tiff gray jpeg", smooth.convert("L"), format="TIFF", compression="jpeg", quality=90)
pil("tiff cmyk jpeg", Image.merge("CMYK", (*smooth.split(), smooth.convert("L"))), format="TIFF", compression="jpeg", quality=90)
pil("tiff gray", gray, format="TIFF", compression="tiff_lzw")
pil("tiff bilevel", gray.convert("1"), format="TIFF")
pil("tiff palette", indexed(256), format="TIFF", compression="tiff_lzw")
pil("tiff rgba", rgba, format="TIFF", compression="tiff_adobe_deflate")
pil("tiff gray with alpha", la, format="TIFF")
pil("tiff cmyk", Image.frombytes("CMYK", (5, H), RGB[:100]), format="TIFF", compression="tiff_lzw")
pil("tiff of pages", rgb, format="TIFF", save_all=True, append_images=[Image.new("RGB", (3, 3))])


def tiff(tags, strips, order="<", big=False, offsets=273, lengths=279):
    """A TIFF of these tags; values are 16 bits, or 32 if one is larger."""
    head = (b"II" if order == "<" else b"MM") + (struct.pack(order + "HHHQ", 43, 8, 0, 16) if big else struct.pack(order + "HI", 42, 8))
    tags = dict(tags)
    tags[offsets], tags[lengths] = [2**17] * len(strips), [len(s) for s in strips]

    def build():
        entry, pointer = (20, 8) if big else (12, 4)
        count = struct.pack(order + ("Q" if big else "H"), len(tags))
        at = len(head) + len(count) + entry * len(tags) + pointer
        entries, more = b"", b""
        for tag in sorted(tags):
            values = tags[tag] if isinstance(tags[tag], (list, tuple, bytes)) else [tags[tag]]
            if isinstance(values, bytes):
                kind, data = 7, values
            else:
                kind = 4 if max(values) > 65535 or tag == offsets else 3
                data = struct.pack(order + "HI"[kind == 4] * len(values), *values)
            entries += struct.pack(order + ("HHQ" if big else "HHI"), tag, kind, len(values))
            if len(data) <= pointer:
                entries += data + bytes(pointer - len(data))
            else:
                entries += struct.pack(order + ("Q" if big else "I"), at + len(more))
                more += data
        return head + count + entries + bytes(pointer) + more

    places, at = [], len(build())
    for s in strips:
        places.append(at)
        at += len(s)
    tags[offsets] = places
    return build() + b"".join(strips)


def page(bits, samples, photometric, **more):
    tags = {256: W, 257: H, 258: [bits] * samples, 259: 1, 262: photometric, 277: samples, 278: H}
    names = {"compression": 259, "rows": 278, "planar": 284, "predictor": 317, "map": 320, "extra": 338,
             "fill": 266, "orientation": 274, "kind": 254, "format": 339}
    tags.update({names[k]: v for k, v in more.items()})
    return tags


def packed(bits, values):
    out = b""
    for y in range(H):
        n = 0
        for v in values[y * W:(y + 1) * W]:
            n = n << bits | v % (1 << bits)
        length = (W * bits + 7) // 8 * 8
        out += (n << (length - W * bits)).to_bytes(length // 8, "big")
    return out


def differences(data, samples, order=None):
    if order is None:
        row = W * samples
        return b"".join(bytes((r[i] - (r[i - samples] if i >= samples else 0)) % 256 for i in range(row))
                        for r in (data[y * row:(y + 1) * row] for y in range(H)))
    row = W * samples
    values = struct.unpack(f"{order}{row * H}H", data)
    out = [(v - (values[i - samples] if i % row >= samples else 0)) % 65536 for i, v in enumerate(values)]
    return struct.pack(f"{order}{row * H}H", *out)


four = b"".join(RGB[3 * i:3 * i + 3] + GRAY[i:i + 1] for i in range(W * H))
strips = [RGB[:W * 6], RGB[W * 6:W * 12], RGB[W * 12:]]
map16 = [PALETTE[3 * i + c] * 257 for c in range(3) for i in range(16)]
for order, name in [("<", "little"), (">", "big")]:
    add(f"tiff {name} 16 bits rgb", tiff(page(16, 3, 2), [struct.pack(f"{order}{W * H * 3}H", *[v * 251 % 65536 for v in range(0, 3 * W * H * 97, 97)][:W * H * 3])], order))
add("tiff strips", tiff(page(8, 3, 2, rows=2), strips))
add("tiff strips, big", tiff(page(8, 3, 2, rows=2), strips, ">"))
add("tiff BigTIFF", tiff(page(8, 3, 2, rows=2), strips, big=True))
add("tiff planes", tiff(page(8, 3, 2, planar=2), [RGB[c::3] for c in range(3)]))
add("tiff gray of 2 bits", tiff(page(2, 1, 1), [packed(2, GRAY)]))
add("tiff gray of 4 bits, white is 0", tiff(page(4, 1, 0), [packed(4, GRAY)]))
add("tiff gray of 8 bits, white is 0", tiff(page(8, 1, 0), [GRAY]))
add("tiff palette of 4 bits", tiff(page(4, 1, 3, map=map16), [packed(4, GRAY)], ">"))
add("tiff palette of 1 bit", tiff(page(1, 1, 3, map=map16[:2] + map16[16:18] + map16[32:34]), [packed(1, GRAY)]))
add("tiff reversed bits", tiff(page(1, 1, 1, fill=2), [packed(1, GRAY)]))
add("tiff predictor", tiff(page(8, 3, 2, compression=8, predictor=2), [zlib.compress(differences(RGB, 3))]))
add("tiff predictor, unused sample", tiff(page(8, 4, 2, compression=8, predictor=2, extra=0), [zlib.compress(differences(four, 4))]))
wide = struct.pack(f">{W * H * 3}H", *[v * 251 % 65536 for v in range(0, 3 * W * H * 97, 97)][:W * H * 3])
add("tiff predictor of 16 bits", tiff(page(16, 3, 2, compression=32946, predictor=2), [zlib.compress(differences(wide, 3, ">"))], ">"))
add("tiff premultiplied alpha", tiff(page(8, 4, 2, extra=1), [four]))
add("tiff unused sample", tiff(page(8, 4, 2, extra=0), [four]))
add("tiff fourth sample not said", tiff(page(8, 4, 2), [four]))
for turned in range(2, 9):
    add(f"tiff turned {turned}", tiff(page(8, 3, 2, orientation=turned), [RGB]))


def tiles(w, h):
    out = []
    for ty in range(0, H, h):
        for tx in range(0, W, w):
            tile = b""
            for y in range(ty, ty + h):
                for x in range(tx, tx + w):
                    i = (y * W + x) * 3
                    tile += RGB[i:i + 3] if x < W and y < H else bytes(3)
            out.append(zlib.compress(tile))
    return out


tiled = page(8, 3, 2, compression=8)
del tiled[278]
tiled[322], tiled[323] = 16, 16
add("tiff one tile", tiff(tiled, tiles(16, 16), offsets=324, lengths=325))
big_tiles = Image.frombytes("RGB", (20, 18), bytes((i * 31 + i // 7) % 256 for i in range(20 * 18 * 3)))
raw = big_tiles.tobytes()
parts = []
for ty in (0, 16):
    for tx in (0, 16):
        t = b""
        for y in range(ty, ty + 16):
            for x in range(tx, tx + 16):
                i = (y * 20 + x) * 3
                t += raw[i:i + 3] if x < 20 and y < 18 else bytes(3)
        parts.append(zlib.compress(t))
tiled = dict(tiled)
tiled[256], tiled[257] = 20, 18
add("tiff tiles", tiff(tiled, parts, offsets=324, lengths=325))

# ---- PNM
pil("pnm colours", rgb, format="PPM")
pil("pnm gray", gray, format="PPM")
add("pnm comments, 100 is most", b"P5 # a comment\n7\n# another\r\n5 100\n" + bytes(v % 101 for v in GRAY))
add("pnm colours of 16 bits", b"P6 7 5 65535\n" + wide)
add("pnm colours of 12 bits", b"P6 7 5 4095\n" + struct.pack(">105H", *[v * 251 % 4096 for v in range(105)]))

lines = []
for name, data in files.items():
    try:
        im = Image.open(io.BytesIO(data))
        if im.format in ("WEBP",):
            im = ImageOps.exif_transpose(im)
        im.load()
        im = im.convert("RGB")
    except Exception as e:
        print("PILLOW CANNOT", name, repr(e), file=sys.stderr)
        continue
    lines.append(f"{name}\t{im.width}\t{im.height}\t{data.hex()}\t{im.tobytes().hex()}\n")
open(sys.argv[1], "w").writelines(lines)
