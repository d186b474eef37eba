package card

import "strings"

// examineExtensions looks at the extensions of the protocol that the card declares.
func (c *checker) examineExtensions() {
	list := c.root.get("capabilities").get("extensions").items
	seen := map[string]bool{}
	from := rule{old: "AgentExtension.uri", v10: "4.6.1"}
	for i := range list {
		if list[i].kind != kindObject {
			continue
		}
		uri := list[i].get("uri")
		switch {
		case uri.kind == kindAbsent && c.version == V10:
			c.warnMissing(&list[i], "uri", codeExtensionURI, c.cite(from), "An extension is known by its URI; write it")
		case uri.kind != kindString:
		case strings.TrimSpace(uri.str) == "" || !isURI(uri.str):
			c.warn(uri, codeExtensionURI, c.cite(from), "This is no absolute URI; write the one that the extension's specification gives")
		case seen[uri.str]:
			c.warn(uri, codeExtensionDuplicate, c.cite(from), "This extension is declared before; take one of the two out")
		default:
			seen[uri.str] = true
		}
	}
}
