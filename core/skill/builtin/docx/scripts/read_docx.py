"""Prints the text of a Word document: python3 read_docx.py INPUT.docx"""
import re
import sys
import xml.etree.ElementTree as ET
import zipfile

W = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"


def text(node):
    out = []
    for part in node.iter():
        if part.tag == W + "t":
            out.append(part.text or "")
        elif part.tag == W + "tab":
            out.append("\t")
        elif part.tag in (W + "br", W + "cr"):
            out.append("\n")
    return "".join(out)


def paragraph(p):
    style = p.find(f"{W}pPr/{W}pStyle")
    name = "" if style is None else style.get(W + "val", "")
    level = re.fullmatch(r"[Hh]eading\s?([1-6])", name)
    if level:
        return "#" * int(level.group(1)) + " " + text(p)
    if p.find(f"{W}pPr/{W}numPr") is not None or name.startswith("List"):
        return "- " + text(p).removeprefix("\u2022 ")
    return text(p)


def blocks(body):
    for block in body:
        if block.tag == W + "p":
            yield paragraph(block)
        elif block.tag == W + "tbl":
            for row in block.iter(W + "tr"):
                yield "\t".join(" ".join(text(p) for p in c.iter(W + "p")) for c in row.findall(W + "tc"))
        elif block.tag == W + "sdt":
            yield from blocks(block.find(W + "sdtContent") or [])


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    with zipfile.ZipFile(sys.argv[1]) as z:
        for line in blocks(ET.fromstring(z.read("word/document.xml")).find(W + "body")):
            print(line)
