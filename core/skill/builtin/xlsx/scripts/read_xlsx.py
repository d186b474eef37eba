"""Names the sheets of a workbook, or prints one as CSV: python3 read_xlsx.py BOOK.xlsx [SHEET]"""
import csv
import posixpath
import re
import sys
import xml.etree.ElementTree as ET
import zipfile

MAIN = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"
RID = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}id"


def texts(node):
    return "".join(t.text or "" for t in node.iter(MAIN + "t"))


def sheets(z):
    targets = {r.get("Id"): r.get("Target") for r in ET.fromstring(z.read("xl/_rels/workbook.xml.rels"))}
    for s in ET.fromstring(z.read("xl/workbook.xml")).iter(MAIN + "sheet"):
        target = targets[s.get(RID)]
        yield s.get("name"), posixpath.normpath(posixpath.join("/xl", target)).lstrip("/")


def place(ref):
    n = 0
    for c in re.match("[A-Z]+", ref).group():
        n = 26 * n + ord(c) - 64
    return n - 1


def rows(z, path):
    shared = []
    if "xl/sharedStrings.xml" in z.namelist():
        shared = [texts(si) for si in ET.fromstring(z.read("xl/sharedStrings.xml")).iter(MAIN + "si")]
    for row in ET.fromstring(z.read(path)).iter(MAIN + "row"):
        out = []
        for c in row.iter(MAIN + "c"):
            value = c.findtext(MAIN + "v", "")
            if c.get("t") == "s":
                value = shared[int(value)]
            elif c.get("t") == "inlineStr":
                value = texts(c)
            elif value == "" and c.find(MAIN + "f") is not None:
                value = "=" + (c.findtext(MAIN + "f") or "")
            at = place(c.get("r")) if c.get("r") else len(out)
            out += [""] * (at - len(out)) + [value]
        yield out


if __name__ == "__main__":
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__)
    with zipfile.ZipFile(sys.argv[1]) as book:
        found = dict(sheets(book))
        if len(sys.argv) == 2:
            print("\n".join(found))
        elif sys.argv[2] not in found:
            sys.exit("there is no sheet of this name; there are: " + ", ".join(found))
        else:
            csv.writer(sys.stdout, lineterminator="\n").writerows(rows(book, found[sys.argv[2]]))
