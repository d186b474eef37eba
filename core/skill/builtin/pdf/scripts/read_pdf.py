"""Prints the text of a PDF file: python3 read_pdf.py INPUT.pdf"""
import re
import sys
import zlib

STREAM = re.compile(rb"<<(.*?)>>\s*stream\r?\n(.*?)\r?\n?endstream", re.S)
SHOWN = re.compile(rb"\((?:\\.|[^\\()])*\)|<[0-9A-Fa-f\s]+>|T\*|ET|Td|TD|'|\"")
ESCAPES = {b"n": b"\n", b"r": b"\r", b"t": b"\t", b"b": b"\b", b"f": b"\f"}


def literal(raw):
    def one(match):
        code = match.group(1)
        if code.isdigit():
            return bytes([int(code, 8) & 255])
        return ESCAPES.get(code, code)

    return re.sub(rb"\\([0-7]{1,3}|.)", one, raw[1:-1], flags=re.S)


def text_of(content):
    out = bytearray()
    for token in SHOWN.findall(content):
        if token.startswith(b"("):
            out += literal(token)
        elif token.startswith(b"<"):
            digits = re.sub(rb"\s", b"", token[1:-1])
            out += bytes.fromhex((digits + b"0" * (len(digits) % 2)).decode())
        elif not out.endswith(b"\n"):
            out += b"\n"
    return out.decode("cp1252", "replace")


def plain(data):
    for head, body in STREAM.findall(data):
        if b"/FlateDecode" in head:
            try:
                body = zlib.decompressobj().decompress(body)
            except zlib.error:
                continue
        elif b"/Filter" in head:
            continue
        if b"BT" in body and b"ET" in body:
            yield text_of(body).strip("\n")


def read(path):
    try:
        import pypdf
    except ImportError:
        with open(path, "rb") as f:
            return list(plain(f.read()))
    return [page.extract_text() or "" for page in pypdf.PdfReader(path).pages]


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    found = read(sys.argv[1])
    if not any(text.strip() for text in found):
        sys.exit("no text was found")
    print("\n\f".join(found))
