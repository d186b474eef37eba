package run

// newest returns how many blocks at the end of the conversation were said in its last exchange, which messages may have merged with ones that
// were never answered.
func (c *conversation) newest() int {
	if len(c.exchanges) == 0 {
		return 0
	}
	x := c.exchanges[len(c.exchanges)-1]
	if len(x.messages) == 0 {
		return 0
	}
	return len(x.messages[len(x.messages)-1].Blocks)
}
