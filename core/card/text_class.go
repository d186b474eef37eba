package card

// class says what sorts of bytes a text holds, so that most texts need not be looked at again once they are read.
type class uint8

const (
	classEnds   class = 1 << iota // in JSON: a double quote, a backslash or a control character
	classWide                     // beyond ASCII
	classHidden                   // what an invisible character may begin with
	classToken                    // what credentials are of: a letter, a digit, "_", "-" or "."
	classMark                     // what each credential has one of at least: a capital, "_" or "-"
	classSecret                   // of a text: it may hold a credential
)

// classes are those of each byte.
var classes = func() (table [256]class) {
	for b := range table {
		switch {
		case b < ' ':
			table[b] = classEnds
			if b != '\t' && b != '\n' && b != '\r' {
				table[b] |= classHidden
			}
		case b >= 0x80:
			table[b] = classWide
		case 'A' <= b && b <= 'Z':
			table[b] = classToken | classMark
		case isLetter(byte(b)) || isDigit(byte(b)):
			table[b] = classToken
		}
	}
	table['"'], table['\\'] = classEnds, classEnds
	table['_'], table['-'], table['.'] = classToken|classMark, classToken|classMark, classToken
	// In UTF-8 the characters of invisible begin with these.
	for _, b := range []byte{0x7f, 0xc2, 0xe1, 0xe2, 0xef, 0xf3} {
		table[b] |= classHidden
	}
	return table
}()
