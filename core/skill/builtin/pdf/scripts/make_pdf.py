"""Makes a PDF file of a text: python3 make_pdf.py INPUT.txt OUTPUT.pdf"""
import sys
import textwrap

WIDTH, HEIGHT, MARGIN = 595, 842, 56  # A4, in points
SIZE, LEADING, HEADING = 11, 15, 16
COLUMNS = 88


def lines(text):
    """Yields (size, line); None begins a page."""
    for i, page in enumerate(text.split("\f")):
        if i:
            yield None
        for line in page.splitlines():
            size = SIZE
            columns = COLUMNS
            if line.startswith("# "):
                size, line, columns = HEADING, line[2:], COLUMNS * SIZE // HEADING
            for part in textwrap.wrap(line, columns) or [""]:
                yield size, part


def escape(line):
    raw = line.encode("cp1252", "replace")
    return raw.replace(b"\\", b"\\\\").replace(b"(", b"\\(").replace(b")", b"\\)")


def pages(text):
    out, body, y = [], [], HEIGHT - MARGIN
    for item in lines(text):
        step = 0 if item is None else LEADING * item[0] // SIZE
        if item is None or y - step < MARGIN:
            out.append(b"\n".join(body))
            body, y = [], HEIGHT - MARGIN
            if item is None:
                continue
        y -= step
        body.append(b"BT /F1 %d Tf %d %d Td (%s) Tj ET" % (item[0], MARGIN, y, escape(item[1])))
    out.append(b"\n".join(body))
    return out


def build(text):
    bodies = pages(text)
    kids = " ".join("%d 0 R" % (4 + 2 * i) for i in range(len(bodies)))
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [%s] /Count %d >>" % (kids.encode(), len(bodies)),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>",
    ]
    for i, body in enumerate(bodies):
        objects.append(
            b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 %d %d] /Resources << /Font << /F1 3 0 R >> >> /Contents %d 0 R >>"
            % (WIDTH, HEIGHT, 5 + 2 * i)
        )
        objects.append(b"<< /Length %d >>\nstream\n%s\nendstream" % (len(body), body))
    out = bytearray(b"%PDF-1.4\n")
    places = []
    for number, obj in enumerate(objects, 1):
        places.append(len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (number, obj)
    table = len(out)
    out += b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    for place in places:
        out += b"%010d 00000 n \n" % place
    out += b"trailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (len(objects) + 1, table)
    return bytes(out)


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    with open(sys.argv[1], encoding="utf-8") as f:
        data = build(f.read())
    with open(sys.argv[2], "wb") as f:
        f.write(data)
