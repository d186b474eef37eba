"""Makes a presentation of an outline: python3 make_pptx.py OUTLINE.txt OUTPUT.pptx"""
import re
import sys
import zipfile
from xml.sax.saxutils import escape

FORBIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f]")
A = "http://schemas.openxmlformats.org/drawingml/2006/main"
P = "http://schemas.openxmlformats.org/presentationml/2006/main"
RELS = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
PACK = "http://schemas.openxmlformats.org/package/2006/"
KIND = "application/vnd.openxmlformats-officedocument."
HEAD = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'
SPACES = f'xmlns:a="{A}" xmlns:p="{P}" xmlns:r="{RELS}"'
TREE = '<p:nvGrpSpPr><p:cNvPr id="1" name=""/><p:cNvGrpSpPr/><p:nvPr/></p:nvGrpSpPr><p:grpSpPr/>'


def outline(text):
    slides = []
    for line in FORBIDDEN.sub("", text).splitlines():
        if line.startswith("# "):
            slides.append((line[2:].strip(), []))
        elif line.strip():
            if not slides:
                slides.append(("", []))
            slides[-1][1].append(re.sub(r"^\s*[-*]\s+", "", line).strip())
    return slides or [("", [])]


def box(number, name, top, height, size, lines, mark):
    bullet = '<a:buChar char="&#8226;"/>' if mark else "<a:buNone/>"
    indent = ' marL="285750" indent="-285750"' if mark else ""
    paragraphs = "".join(
        f'<a:p><a:pPr{indent}>{bullet}</a:pPr><a:r><a:rPr lang="en" sz="{size}"/><a:t>{escape(line)}</a:t></a:r></a:p>' for line in lines
    ) or "<a:p/>"
    return (
        f'<p:sp><p:nvSpPr><p:cNvPr id="{number}" name="{name}"/><p:cNvSpPr txBox="1"/><p:nvPr/></p:nvSpPr>'
        f'<p:spPr><a:xfrm><a:off x="609600" y="{top}"/><a:ext cx="10972800" cy="{height}"/></a:xfrm>'
        '<a:prstGeom prst="rect"><a:avLst/></a:prstGeom></p:spPr>'
        f'<p:txBody><a:bodyPr wrap="square"><a:normAutofit/></a:bodyPr><a:lstStyle/>{paragraphs}</p:txBody></p:sp>'
    )


def slide(title, points):
    return (
        HEAD + f"<p:sld {SPACES}><p:cSld><p:spTree>{TREE}" + box(2, "Title", 457200, 1143000, 3600, [title], False)
        + box(3, "Points", 1752600, 4572000, 2400, points, True) + "</p:spTree></p:cSld></p:sld>"
    )


def rels(entries):
    body = "".join(f'<Relationship Id="rId{i}" Type="{RELS}/{kind}" Target="{target}"/>' for i, (kind, target) in enumerate(entries, 1))
    return HEAD + f'<Relationships xmlns="{PACK}relationships">{body}</Relationships>'


def fill(name):
    return f"<a:{name}>" + "".join('<a:solidFill><a:schemeClr val="phClr"/></a:solidFill>' for _ in range(3)) + f"</a:{name}>"


COLOURS = "".join(
    f'<a:{name}><a:srgbClr val="{value}"/></a:{name}>' for name, value in (
        ("dk1", "000000"), ("lt1", "FFFFFF"), ("dk2", "1F2937"), ("lt2", "F3F4F6"), ("accent1", "2563EB"), ("accent2", "059669"),
        ("accent3", "D97706"), ("accent4", "DC2626"), ("accent5", "7C3AED"), ("accent6", "0891B2"), ("hlink", "2563EB"), ("folHlink", "7C3AED"),
    )
)
FONT = '<a:latin typeface="Calibri"/><a:ea typeface=""/><a:cs typeface=""/>'
THEME = (
    HEAD + f'<a:theme xmlns:a="{A}" name="Plain"><a:themeElements><a:clrScheme name="Plain">{COLOURS}</a:clrScheme>'
    f'<a:fontScheme name="Plain"><a:majorFont>{FONT}</a:majorFont><a:minorFont>{FONT}</a:minorFont></a:fontScheme>'
    f'<a:fmtScheme name="Plain">{fill("fillStyleLst")}<a:lnStyleLst>'
    + '<a:ln w="9525"><a:solidFill><a:schemeClr val="phClr"/></a:solidFill></a:ln>' * 3
    + "</a:lnStyleLst><a:effectStyleLst>" + "<a:effectStyle><a:effectLst/></a:effectStyle>" * 3
    + f'</a:effectStyleLst>{fill("bgFillStyleLst")}</a:fmtScheme></a:themeElements></a:theme>'
)
MAP = (
    '<p:clrMap bg1="lt1" tx1="dk1" bg2="lt2" tx2="dk2" accent1="accent1" accent2="accent2" accent3="accent3" accent4="accent4" '
    'accent5="accent5" accent6="accent6" hlink="hlink" folHlink="folHlink"/>'
)
MASTER = HEAD + f'<p:sldMaster {SPACES}><p:cSld><p:spTree>{TREE}</p:spTree></p:cSld>{MAP}<p:sldLayoutIdLst><p:sldLayoutId id="2147483649" r:id="rId1"/></p:sldLayoutIdLst></p:sldMaster>'
LAYOUT = HEAD + f'<p:sldLayout {SPACES} type="blank"><p:cSld name="Blank"><p:spTree>{TREE}</p:spTree></p:cSld></p:sldLayout>'


def write(path, text):
    slides = outline(text)
    numbers = range(1, len(slides) + 1)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as z:
        parts = [("presentation", "presentation.main"), ("theme/theme1", "theme"), ("slideMasters/slideMaster1", "slideMaster"), ("slideLayouts/slideLayout1", "slideLayout")]
        parts += [(f"slides/slide{i}", "slide") for i in numbers]
        z.writestr(
            "[Content_Types].xml",
            HEAD + f'<Types xmlns="{PACK}content-types"><Default Extension="xml" ContentType="application/xml"/>'
            '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
            + "".join(
                f'<Override PartName="/ppt/{name}.xml" ContentType="{KIND}{"" if kind == "theme" else "presentationml."}{kind}+xml"/>'
                for name, kind in parts
            ) + "</Types>",
        )
        z.writestr("_rels/.rels", rels([("officeDocument", "ppt/presentation.xml")]))
        z.writestr(
            "ppt/presentation.xml",
            HEAD + f'<p:presentation {SPACES}><p:sldMasterIdLst><p:sldMasterId id="2147483648" r:id="rId1"/></p:sldMasterIdLst><p:sldIdLst>'
            + "".join(f'<p:sldId id="{255 + i}" r:id="rId{i + 1}"/>' for i in numbers)
            + '</p:sldIdLst><p:sldSz cx="12192000" cy="6858000"/><p:notesSz cx="6858000" cy="9144000"/></p:presentation>',
        )
        z.writestr(
            "ppt/_rels/presentation.xml.rels",
            rels([("slideMaster", "slideMasters/slideMaster1.xml")] + [("slide", f"slides/slide{i}.xml") for i in numbers] + [("theme", "theme/theme1.xml")]),
        )
        z.writestr("ppt/theme/theme1.xml", THEME)
        z.writestr("ppt/slideMasters/slideMaster1.xml", MASTER)
        z.writestr("ppt/slideMasters/_rels/slideMaster1.xml.rels", rels([("slideLayout", "../slideLayouts/slideLayout1.xml"), ("theme", "../theme/theme1.xml")]))
        z.writestr("ppt/slideLayouts/slideLayout1.xml", LAYOUT)
        z.writestr("ppt/slideLayouts/_rels/slideLayout1.xml.rels", rels([("slideMaster", "../slideMasters/slideMaster1.xml")]))
        for i, (title, points) in enumerate(slides, 1):
            z.writestr(f"ppt/slides/slide{i}.xml", slide(title, points))
            z.writestr(f"ppt/slides/_rels/slide{i}.xml.rels", rels([("slideLayout", "../slideLayouts/slideLayout1.xml")]))


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    with open(sys.argv[1], encoding="utf-8") as f:
        write(sys.argv[2], f.read())
