"""Prints the text of a presentation: python3 read_pptx.py INPUT.pptx"""
import posixpath
import sys
import xml.etree.ElementTree as ET
import zipfile

A = "{http://schemas.openxmlformats.org/drawingml/2006/main}"
P = "{http://schemas.openxmlformats.org/presentationml/2006/main}"
RID = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}id"


def slides(z):
    targets = {r.get("Id"): r.get("Target") for r in ET.fromstring(z.read("ppt/_rels/presentation.xml.rels"))}
    for s in ET.fromstring(z.read("ppt/presentation.xml")).iter(P + "sldId"):
        yield posixpath.normpath(posixpath.join("/ppt", targets[s.get(RID)])).lstrip("/")


def paragraphs(node):
    for p in node.iter(A + "p"):
        line = "".join(t.text or "" for t in p.iter(A + "t"))
        if line.strip():
            yield line


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    with zipfile.ZipFile(sys.argv[1]) as z:
        for number, path in enumerate(slides(z), 1):
            print(f"--- slide {number}")
            for line in paragraphs(ET.fromstring(z.read(path))):
                print(line)
