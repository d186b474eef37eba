package egress

import (
	"net/netip"
	"slices"
)

// metadata are addresses at which clouds hand out credentials to whoever asks from within. All but Azure's lie in blocks that are
// refused anyway; they are named for the reader of the error.
var metadata = []netip.Addr{
	netip.MustParseAddr("169.254.169.254"), // EC2, Google, Azure, OpenStack, DigitalOcean
	netip.MustParseAddr("169.254.170.2"),   // ECS task credentials
	netip.MustParseAddr("168.63.129.16"),   // Azure's platform, a public address
	netip.MustParseAddr("fd00:ec2::254"),   // EC2 over IPv6
}

// special are the blocks of the IANA special-purpose registries (RFC 6890 and its updates) that are not reachable over the public
// Internet, or that lead to an address which this table would have to judge instead. What netip classifies itself is not
// repeated.
var special = []struct {
	prefix netip.Prefix
	name   string
}{
	{netip.MustParsePrefix("0.0.0.0/8"), "this network"},               // RFC 791
	{netip.MustParsePrefix("100.64.0.0/10"), "carrier-grade NAT"},      // RFC 6598; also Alibaba's metadata service
	{netip.MustParsePrefix("192.0.0.0/24"), "protocol assignments"},    // RFC 6890; also Oracle's metadata service
	{netip.MustParsePrefix("192.0.2.0/24"), "documentation"},           // RFC 5737
	{netip.MustParsePrefix("192.31.196.0/24"), "AS112"},                // RFC 7535
	{netip.MustParsePrefix("192.52.193.0/24"), "AMT"},                  // RFC 7450
	{netip.MustParsePrefix("192.88.99.0/24"), "6to4 relay"},            // RFC 7526
	{netip.MustParsePrefix("192.175.48.0/24"), "AS112"},                // RFC 7534
	{netip.MustParsePrefix("198.18.0.0/15"), "benchmarking"},           // RFC 2544
	{netip.MustParsePrefix("198.51.100.0/24"), "documentation"},        // RFC 5737
	{netip.MustParsePrefix("203.0.113.0/24"), "documentation"},         // RFC 5737
	{netip.MustParsePrefix("240.0.0.0/4"), "reserved"},                 // RFC 1112
	{netip.MustParsePrefix("::/96"), "IPv4-compatible"},                // RFC 4291: embeds an IPv4 address
	{netip.MustParsePrefix("::ffff:0:0:0/96"), "IPv4-translated"},      // RFC 2765: embeds an IPv4 address
	{netip.MustParsePrefix("64:ff9b::/96"), "NAT64"},                   // RFC 6052: embeds an IPv4 address
	{netip.MustParsePrefix("64:ff9b:1::/48"), "NAT64"},                 // RFC 8215
	{netip.MustParsePrefix("100::/64"), "discard-only"},                // RFC 6666
	{netip.MustParsePrefix("2001::/23"), "protocol assignments"},       // RFC 2928: Teredo, ORCHID and benchmarking among them
	{netip.MustParsePrefix("2001:db8::/32"), "documentation"},          // RFC 3849
	{netip.MustParsePrefix("2002::/16"), "6to4"},                       // RFC 3056: embeds an IPv4 address
	{netip.MustParsePrefix("2620:4f:8000::/48"), "AS112"},              // RFC 7534
	{netip.MustParsePrefix("3fff::/20"), "documentation"},              // RFC 9637
	{netip.MustParsePrefix("5f00::/16"), "segment routing"},            // RFC 9602
	{netip.MustParsePrefix("fec0::/10"), "site-local"},                 // RFC 3879
	{netip.MustParsePrefix("255.255.255.255/32"), "limited broadcast"}, // RFC 919
}

// Blocked says why ip is not a public unicast address: "private", "loopback", "link-local", "cloud metadata" and so on. It
// returns "" for a public one.
func Blocked(ip netip.Addr) string {
	if !ip.IsValid() {
		return "invalid"
	}
	if ip.Zone() != "" {
		return "link-local"
	}
	ip = ip.Unmap() // ::ffff:10.0.0.1 is 10.0.0.1
	switch {
	case slices.Contains(metadata, ip):
		return "cloud metadata"
	case ip.IsUnspecified():
		return "unspecified"
	case ip.IsLoopback():
		return "loopback"
	case ip.IsPrivate():
		return "private"
	case ip.IsLinkLocalUnicast():
		return "link-local"
	case ip.IsMulticast():
		return "multicast"
	}
	for _, s := range special {
		if s.prefix.Contains(ip) {
			return s.name
		}
	}
	if !ip.IsGlobalUnicast() || ip.Is6() && !globalUnicast6.Contains(ip) {
		return "not a global address"
	}
	return ""
}

// globalUnicast6 is all that IANA has ever handed out for the public Internet (RFC 4291, 2.5.4).
var globalUnicast6 = netip.MustParsePrefix("2000::/3")
