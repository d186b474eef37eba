"""Makes a Word document of a text: python3 make_docx.py INPUT.txt OUTPUT.docx"""
import re
import sys
import zipfile
from xml.sax.saxutils import escape

FORBIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f]")
MAIN = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
RELS = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
PACK = "http://schemas.openxmlformats.org/package/2006/"
WORD = "application/vnd.openxmlformats-officedocument.wordprocessingml."
HEAD = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'


def runs(text):
    out = []
    for i, part in enumerate(re.split(r"\*\*(.+?)\*\*", text)):
        if part:
            bold = "<w:rPr><w:b/></w:rPr>" if i % 2 else ""
            out.append(f'<w:r>{bold}<w:t xml:space="preserve">{escape(part)}</w:t></w:r>')
    return "".join(out)


def paragraph(line):
    style = ""
    heading = re.match("(#{1,3}) ", line)
    if heading:
        style, line = f"Heading{len(heading.group(1))}", line[heading.end():]
    elif line.startswith("- "):
        style, line = "ListItem", "\u2022 " + line[2:]
    props = f'<w:pPr><w:pStyle w:val="{style}"/></w:pPr>' if style else ""
    return f"<w:p>{props}{runs(line)}</w:p>"


def style(ident, name, size, more=""):
    return (
        f'<w:style w:type="paragraph" w:styleId="{ident}"><w:name w:val="{name}"/><w:basedOn w:val="Normal"/>{more}'
        f'<w:rPr><w:b/><w:sz w:val="{size}"/></w:rPr></w:style>'
    )


STYLES = (
    HEAD + f'<w:styles xmlns:w="{MAIN}"><w:style w:type="paragraph" w:default="1" w:styleId="Normal"><w:name w:val="Normal"/>'
    '<w:pPr><w:spacing w:after="120"/></w:pPr><w:rPr><w:sz w:val="22"/></w:rPr></w:style>'
    + style("Heading1", "heading 1", 32) + style("Heading2", "heading 2", 28) + style("Heading3", "heading 3", 24)
    + '<w:style w:type="paragraph" w:styleId="ListItem"><w:name w:val="List Item"/><w:basedOn w:val="Normal"/>'
    '<w:pPr><w:ind w:left="360" w:hanging="180"/></w:pPr></w:style></w:styles>'
)


def write(path, text):
    body = "".join(paragraph(line) for line in FORBIDDEN.sub("", text).splitlines())
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as z:
        z.writestr(
            "[Content_Types].xml",
            HEAD + f'<Types xmlns="{PACK}content-types"><Default Extension="xml" ContentType="application/xml"/>'
            '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
            f'<Override PartName="/word/document.xml" ContentType="{WORD}document.main+xml"/>'
            f'<Override PartName="/word/styles.xml" ContentType="{WORD}styles+xml"/></Types>',
        )
        z.writestr("_rels/.rels", HEAD + f'<Relationships xmlns="{PACK}relationships"><Relationship Id="rId1" Type="{RELS}/officeDocument" Target="word/document.xml"/></Relationships>')
        z.writestr("word/_rels/document.xml.rels", HEAD + f'<Relationships xmlns="{PACK}relationships"><Relationship Id="rId1" Type="{RELS}/styles" Target="styles.xml"/></Relationships>')
        z.writestr("word/styles.xml", STYLES)
        z.writestr("word/document.xml", HEAD + f'<w:document xmlns:w="{MAIN}"><w:body>{body}</w:body></w:document>')


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    with open(sys.argv[1], encoding="utf-8") as f:
        write(sys.argv[2], f.read())
