package scan

import (
	"bytes"
	"path"
	"strings"
	"unicode/utf8"
)

// magic is what the first bytes of a file say that it is.
type magic struct {
	name     string // "" is unknown
	program  bool
	archive  bool
	medium   bool // an image, a sound, a font, a document
	bytecode bool
}

// magicOf reads the first bytes of a file.
func magicOf(b []byte) magic {
	has := func(prefix string) bool { return bytes.HasPrefix(b, []byte(prefix)) }
	switch {
	case has("\x7fELF"):
		return magic{name: "a program for Linux (ELF)", program: true}
	case has("MZ") && len(b) > 64 && (bytes.IndexByte(b[:64], 0) >= 0):
		return magic{name: "a program for Windows (PE)", program: true}
	case has("\xfe\xed\xfa\xce"), has("\xfe\xed\xfa\xcf"), has("\xce\xfa\xed\xfe"), has("\xcf\xfa\xed\xfe"):
		return magic{name: "a program for macOS (Mach-O)", program: true}
	case has("\xca\xfe\xba\xbe") && len(b) >= 8:
		if b[4] == 0 && b[5] == 0 && b[6] == 0 && b[7] < 40 {
			return magic{name: "a program for macOS (Mach-O)", program: true}
		}
		return magic{name: "Java byte code", bytecode: true}
	case has("\x00asm"):
		return magic{name: "WebAssembly", bytecode: true}
	case has("dex\n"):
		return magic{name: "Android byte code", bytecode: true}
	case len(b) >= 4 && b[2] == '\r' && b[3] == '\n' && (b[1] == 0x0d || b[1] == 0x0c || b[1] == 0x0e):
		return magic{name: "Python byte code", bytecode: true}
	case has("\xd0\xcf\x11\xe0"):
		return magic{name: "an OLE file, which may be an installer or have macros", archive: true}
	case has("L\x00\x00\x00\x01\x14\x02\x00"):
		return magic{name: "a Windows shortcut", program: true}
	case has("PK\x03\x04"), has("PK\x05\x06"):
		return magic{name: "a ZIP archive", archive: true}
	case has("Rar!\x1a\x07"), has("7z\xbc\xaf\x27\x1c"), has("\x1f\x8b"), has("BZh"), has("\xfd7zXZ\x00"), has("\x28\xb5\x2f\xfd"), has("MSCF"):
		return magic{name: "an archive", archive: true}
	case len(b) > 262 && string(b[257:262]) == "ustar":
		return magic{name: "an archive", archive: true}
	case has("\x89PNG"), has("\xff\xd8\xff"), has("GIF8"), has("RIFF"), has("%PDF-"), has("\x00\x01\x00\x00"), has("OTTO"), has("wOFF"), has("wOF2"), has("ID3"), has("OggS"), has("fLaC"), has("BM"), has("II*\x00"), has("MM\x00*"):
		return magic{name: "a document or a picture", medium: true}
	case len(b) > 12 && string(b[4:8]) == "ftyp":
		return magic{name: "a video", medium: true}
	}
	return magic{}
}

// Extensions, by what their files are.
var (
	programs  = set("exe", "dll", "so", "dylib", "scr", "com", "msi", "msix", "lnk", "hta", "vbs", "vbe", "wsf", "jar", "apk", "ipa", "dmg", "pkg", "deb", "rpm", "appimage", "pyc", "pyd", "node", "bin", "elf", "cpl", "pif", "iso", "img", "class", "xpi", "crx")
	scripts   = set("sh", "bash", "zsh", "fish", "py", "pyw", "js", "mjs", "cjs", "ts", "mts", "tsx", "jsx", "rb", "pl", "php", "ps1", "psm1", "bat", "cmd", "lua", "r", "jl", "go", "rs", "java", "kt", "swift", "c", "cc", "cpp", "h", "cs", "scala", "groovy", "awk", "tcl", "applescript", "scpt", "command", "sql", "nix", "ex", "exs")
	documents = set("pdf", "doc", "docx", "xls", "xlsx", "ppt", "pptx", "txt", "md", "png", "jpg", "jpeg", "gif", "webp", "svg", "csv", "json", "html", "mp3", "mp4", "mov", "zip", "rtf", "ico")
	prose     = set("md", "markdown", "mdx", "txt", "rst", "adoc", "html", "htm")
	packed    = set("docx", "xlsx", "pptx", "odt", "ods", "odp", "epub", "dotx", "xltx", "potx", "thmx", "whl")
	macros    = set("docm", "xlsm", "pptm", "dotm", "xltm", "xlam")
)

func set(words ...string) map[string]bool {
	m := map[string]bool{}
	for _, w := range words {
		m[w] = true
	}
	return m
}

// extension returns what follows the last dot of a file's name, in lower case.
func extension(name string) string {
	return strings.ToLower(strings.TrimPrefix(path.Ext(path.Base(name)), "."))
}

// fileName looks at the name of a file alone.
func (s *scanner) fileName(name string) {
	report := func(code Code, severity Severity, message string) {
		s.add(Finding{Code: code, Severity: severity, Path: name, Message: message})
	}
	for _, r := range name {
		if invisible(r) {
			report(CodeMisleadingName, High, "the name has the invisible character "+spelled(r)+", so that it shows otherwise than it is")
			break
		}
	}
	last := extension(name)
	inner := extension(strings.TrimSuffix(path.Base(name), path.Ext(name)))
	runs := programs[last] || scripts[last] && last != "c" && last != "h" && last != "go" && last != "rs" && last != "ts" && last != "js" && last != "sql" && last != "r"
	switch {
	case runs && documents[inner] && inner != "html" && inner != "json" && inner != "csv":
		report(CodeMisleadingName, High, "the name looks like that of a ."+inner+" and is that of a ."+last+", which runs")
	case last == "js" && documents[inner] && inner != "html" && inner != "json" && inner != "csv" && inner != "md":
		report(CodeMisleadingName, High, "the name looks like that of a ."+inner+" and is that of a ."+last+", which runs")
	case strings.Contains(path.Base(name), "  "):
		report(CodeMisleadingName, Medium, "the name has a row of spaces, which hides its end")
	}
}

// sorted is how a file is treated.
type sorted struct {
	kind   Kind
	opaque bool // it holds no text
}

// sortOf decides how a file is read, and reports what cannot be.
func (s *scanner) sortOf(name string, kind Kind, content []byte) sorted {
	report := func(code Code, severity Severity, message string) {
		s.add(Finding{Code: code, Severity: severity, Path: name, Message: message})
	}
	ext, is := extension(name), magicOf(content)
	text := isText(content)
	switch {
	case is.program:
		s.used.executes = true
		report(CodeExecutable, High, "is "+is.name+"; nothing in it was scanned")
		if documents[ext] || prose[ext] || scripts[ext] {
			report(CodeMisleadingName, High, "is "+is.name+" and calls itself a ."+ext)
		}
		return sorted{opaque: true}
	case is.bytecode:
		s.used.executes = true
		severity := High
		if is.name == "WebAssembly" {
			severity = Medium
		}
		report(CodeExecutable, severity, "is "+is.name+"; nothing in it was scanned")
		return sorted{opaque: true}
	case programs[ext] && !text:
		s.used.executes = true
		report(CodeExecutable, High, "is a ."+ext+" file; nothing in it was scanned")
		return sorted{opaque: true}
	case macros[ext]:
		report(CodeExecutable, Medium, "is a document with macros; nothing in it was scanned")
		return sorted{opaque: true}
	case is.archive && packed[ext], is.medium && !strings.HasPrefix(string(content[:min(len(content), 2)]), "BM"):
		return sorted{opaque: true}
	case is.archive && !text:
		message := "is " + is.name + "; nothing in it was scanned"
		severity := Medium
		if len(content) > 8 && is.name == "a ZIP archive" && content[6]&1 != 0 {
			severity, message = High, "is a ZIP archive with a password; nothing in it can be scanned"
		}
		report(CodeUnscanned, severity, message)
		return sorted{opaque: true}
	case !text:
		if !is.medium {
			report(CodeUnscanned, Low, "is a binary file of an unknown kind; nothing in it was scanned")
		}
		return sorted{opaque: true}
	}
	if kind == KindAuto {
		switch {
		case bytes.HasPrefix(content, []byte("#!")):
			kind = KindCode
			if documents[ext] && ext != "md" && ext != "txt" {
				report(CodeMisleadingName, High, "is a script and calls itself a ."+ext)
			}
		case prose[ext]:
			kind = KindInstructions
		case scripts[ext], programs[ext]:
			kind = KindCode
		default:
			kind = KindData
		}
	}
	return sorted{kind: kind}
}

// isText reports whether bytes are text: UTF-8 without the bytes that no text has. A rune that the end cuts is forgiven.
func isText(b []byte) bool {
	if len(b) > 64<<10 {
		b = b[:64<<10]
	}
	odd := 0
	for len(b) > 0 {
		r, n := utf8.DecodeRune(b)
		if r == utf8.RuneError && n == 1 && len(b) >= utf8.UTFMax {
			odd++
		}
		if r == 0 {
			return false
		}
		b = b[n:]
	}
	return odd <= 16
}
