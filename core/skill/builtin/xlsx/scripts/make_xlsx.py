"""Makes a workbook of CSV files: python3 make_xlsx.py OUTPUT.xlsx SHEET.csv..."""
import csv
import os
import re
import sys
import zipfile
from xml.sax.saxutils import escape, quoteattr

NUMBER = re.compile(r"-?(0|[1-9][0-9]{0,14})(\.[0-9]+)?([eE][+-]?[0-9]{1,3})?")
FORBIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f]")
MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
RELS = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
PACK = "http://schemas.openxmlformats.org/package/2006/"
HEAD = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'


def column(n):
    name = ""
    while n >= 0:
        name, n = chr(65 + n % 26) + name, n // 26 - 1
    return name


def cell(place, text, style):
    text = FORBIDDEN.sub("", text)
    if text == "":
        return ""
    if NUMBER.fullmatch(text):
        return f'<c r="{place}"{style}><v>{text}</v></c>'
    if text.startswith("=") and len(text) > 1:
        return f'<c r="{place}"{style}><f>{escape(text[1:])}</f></c>'
    return f'<c r="{place}"{style} t="inlineStr"><is><t xml:space="preserve">{escape(text)}</t></is></c>'


def sheet(rows):
    out = [HEAD, f'<worksheet xmlns="{MAIN}"><sheetData>']
    for i, row in enumerate(rows, 1):
        style = ' s="1"' if i == 1 else ""
        out.append(f'<row r="{i}">' + "".join(cell(f"{column(k)}{i}", v, style) for k, v in enumerate(row)) + "</row>")
    out.append("</sheetData></worksheet>")
    return "".join(out)


def sheet_name(path, taken):
    base = re.sub(r"[\[\]:*?/\\]", " ", os.path.splitext(os.path.basename(path))[0])[:31].strip("' ") or "Sheet"
    name, n = base, 2
    while name.lower() in taken:
        tail = f" {n}"
        name, n = base[: 31 - len(tail)] + tail, n + 1
    taken.add(name.lower())
    return name


STYLES = (
    HEAD + f'<styleSheet xmlns="{MAIN}"><fonts count="2"><font><sz val="11"/><name val="Calibri"/></font>'
    '<font><b/><sz val="11"/><name val="Calibri"/></font></fonts>'
    '<fills count="2"><fill><patternFill patternType="none"/></fill><fill><patternFill patternType="gray125"/></fill></fills>'
    '<borders count="1"><border/></borders><cellStyleXfs count="1"><xf/></cellStyleXfs>'
    '<cellXfs count="2"><xf fontId="0"/><xf fontId="1" applyFont="1"/></cellXfs></styleSheet>'
)


def write(path, files):
    taken = set()
    names = [sheet_name(f, taken) for f in files]
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as z:
        sheets = range(1, len(files) + 1)
        z.writestr(
            "[Content_Types].xml",
            HEAD + f'<Types xmlns="{PACK}content-types"><Default Extension="xml" ContentType="application/xml"/>'
            '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
            '<Override PartName="/xl/workbook.xml" ContentType="application/vnd.openxmlformats-officedocument.spreadsheetml.sheet.main+xml"/>'
            '<Override PartName="/xl/styles.xml" ContentType="application/vnd.openxmlformats-officedocument.spreadsheetml.styles+xml"/>'
            + "".join(
                f'<Override PartName="/xl/worksheets/sheet{i}.xml" '
                'ContentType="application/vnd.openxmlformats-officedocument.spreadsheetml.worksheet+xml"/>' for i in sheets
            ) + "</Types>",
        )
        z.writestr("_rels/.rels", HEAD + f'<Relationships xmlns="{PACK}relationships"><Relationship Id="rId1" Type="{RELS}/officeDocument" Target="xl/workbook.xml"/></Relationships>')
        z.writestr(
            "xl/workbook.xml",
            HEAD + f'<workbook xmlns="{MAIN}" xmlns:r="{RELS}"><sheets>'
            + "".join(f'<sheet name={quoteattr(n)} sheetId="{i}" r:id="rId{i}"/>' for i, n in enumerate(names, 1)) + "</sheets></workbook>",
        )
        z.writestr(
            "xl/_rels/workbook.xml.rels",
            HEAD + f'<Relationships xmlns="{PACK}relationships">'
            + "".join(f'<Relationship Id="rId{i}" Type="{RELS}/worksheet" Target="worksheets/sheet{i}.xml"/>' for i in sheets)
            + f'<Relationship Id="rId{len(files) + 1}" Type="{RELS}/styles" Target="styles.xml"/></Relationships>',
        )
        z.writestr("xl/styles.xml", STYLES)
        for i, name in enumerate(files, 1):
            with open(name, encoding="utf-8-sig", newline="") as f:
                z.writestr(f"xl/worksheets/sheet{i}.xml", sheet(csv.reader(f)))


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    write(sys.argv[1], sys.argv[2:])
