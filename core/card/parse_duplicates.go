package card

// once warns of keys that come again, and leaves the last member of each, as the readers of JSON that agents are written with do. Large
// objects get an index, so that neither this nor finding a member takes time with the square of their size.
func (p *parser) once(members []member) ([]member, map[string]int32) {
	if len(members) >= indexFrom {
		return p.onceIndexed(members)
	}
	kept := members
	for i := len(kept) - 2; i >= 0; i-- {
		for j := i + 1; j < len(kept); j++ {
			if len(kept[i].key) == len(kept[j].key) && kept[i].key == kept[j].key {
				p.duplicate(&kept[i], &kept[j])
				kept = append(kept[:i], kept[i+1:]...)
				break
			}
		}
	}
	return kept, nil
}

func (p *parser) onceIndexed(members []member) ([]member, map[string]int32) {
	index := make(map[string]int32, len(members))
	for i := range members {
		index[members[i].key] = int32(i)
	}
	if len(index) == len(members) {
		return members, index
	}
	kept := members[:0]
	for i := range members {
		if last := index[members[i].key]; int(last) != i {
			p.duplicate(&members[i], &members[last])
			continue
		}
		kept = append(kept, members[i])
	}
	for i := range kept {
		index[kept[i].key] = int32(i)
	}
	return kept, index
}

func (p *parser) duplicate(dropped, kept *member) {
	p.c.warnings.add(note{at: kept.value.start, offset: dropped.start, code: codeDuplicateKey, source: sourceNames},
		"%q comes again later in this object, and readers differ in which one they take: keep one (the last is judged here)",
		[]any{short(dropped.key)})
}
