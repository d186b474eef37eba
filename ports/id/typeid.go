package id

// alphabet is Crockford's base32 in lower case, as the TypeID specification requires.
const alphabet = "0123456789abcdefghjkmnpqrstvwxyz"

var decodeTable = func() (t [256]byte) {
	for i := range t {
		t[i] = 0xff
	}
	for i := range len(alphabet) {
		t[alphabet[i]] = byte(i)
	}
	return t
}()

// encodeSuffix writes the 128 bits as 26 characters, most significant first; the first character holds 3 bits.
func encodeSuffix(u UUID) string {
	var b [26]byte
	var hi, lo uint64
	for i := range 8 {
		hi = hi<<8 | uint64(u[i])
		lo = lo<<8 | uint64(u[i+8])
	}
	for i := 25; i >= 0; i-- {
		b[i] = alphabet[lo&31]
		lo = lo>>5 | hi<<59
		hi >>= 5
	}
	return string(b[:])
}

// decodeSuffix reverses encodeSuffix; a suffix above 128 bits (first character over '7') is refused.
func decodeSuffix(s string) (UUID, bool) {
	var u UUID
	if len(s) != 26 || s[0] > '7' {
		return u, false
	}
	var hi, lo uint64
	for i := range 26 {
		v := decodeTable[s[i]]
		if v == 0xff {
			return u, false
		}
		hi = hi<<5 | lo>>59
		lo = lo<<5 | uint64(v)
	}
	for i := 7; i >= 0; i-- {
		u[i], u[i+8] = byte(hi), byte(lo)
		hi >>= 8
		lo >>= 8
	}
	return u, true
}
