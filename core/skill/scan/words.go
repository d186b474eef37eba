package scan

// words finds many fixed words in one pass over a text, ASCII letters in any case: an automaton after Aho and Corasick over the bytes
// that occur in the words.
type words struct {
	class [256]uint8 // of a byte; 0 is any that no word has
	size  int        // classes
	next  []int32    // state*size + class -> state
	ends  [][]int32  // what ends in a state
}

// newWords builds the automaton; lists[i] are the words that stand for i.
func newWords(lists [][]string) *words {
	w := &words{size: 1}
	for _, list := range lists {
		for _, word := range list {
			for i := range len(word) {
				c := word[i]
				if w.class[c] != 0 {
					continue
				}
				w.class[c] = uint8(w.size)
				if 'a' <= c && c <= 'z' {
					w.class[c-'a'+'A'] = uint8(w.size)
				}
				w.size++
			}
		}
	}
	w.grow()
	for of, list := range lists {
		for _, word := range list {
			w.add(word, int32(of))
		}
	}
	w.link()
	return w
}

func (w *words) grow() int32 {
	w.next = append(w.next, make([]int32, w.size)...)
	w.ends = append(w.ends, nil)
	return int32(len(w.ends) - 1)
}

func (w *words) add(word string, of int32) {
	state := int32(0)
	for i := range len(word) {
		at := int(state)*w.size + int(w.class[word[i]])
		if w.next[at] == 0 {
			made := w.grow() // next may move
			w.next[at] = made
		}
		state = w.next[at]
	}
	w.ends[state] = append(w.ends[state], of)
}

// link turns the tree into the automaton: where a state has no way on, it goes on as its longest proper suffix would.
func (w *words) link() {
	fail := make([]int32, len(w.ends))
	var queue []int32
	for c := range w.size {
		if to := w.next[c]; to != 0 {
			queue = append(queue, to)
		}
	}
	for len(queue) > 0 {
		state := queue[0]
		queue = queue[1:]
		w.ends[state] = append(w.ends[state], w.ends[fail[state]]...)
		for c := range w.size {
			at := int(state)*w.size + c
			other := w.next[int(fail[state])*w.size+c]
			if to := w.next[at]; to != 0 {
				fail[to] = other
				queue = append(queue, to)
			} else {
				w.next[at] = other
			}
		}
	}
}

// find calls hit with what each word stands for and where it ends.
func (w *words) find(text string, hit func(of int32, end int)) {
	state := int32(0)
	for i := range len(text) {
		state = w.next[int(state)*w.size+int(w.class[text[i]])]
		for _, of := range w.ends[state] {
			hit(of, i+1)
		}
	}
}
