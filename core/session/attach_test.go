package session

import "testing"

func TestRepositoryName(t *testing.T) {
	t.Parallel()
	for address, want := range map[string]string{
		"https://github.com/o/r": "r", "https://github.com:8443/o/r.git": "r", "http://[::1]:80/o/r": "r", "https://git.example.co.uk/a/b/c": "c",
		"":                               "",
		"ext::sh -c id":                  "",
		"file:///etc/o/r":                "",
		"git@github.com:o/r":             "",
		"https://u:p@host/o/r":           "",
		"https://host/o/r?a=b":           "",
		"https://host/r":                 "",
		"https://host/o/..":              "",
		"https://host/o/--x y":           "",
		"https://*.helper=!f/o/r":        "", // the name of a setting of git's, and its value
		"https://x.helper=$(id)/o/r":     "",
		"https://x,y/o/r":                "",
		"--upload-pack=id https://h/o/r": "",
	} {
		name, problem := repositoryName(address)
		if name != want || (problem == "") != (want != "") {
			t.Errorf("%q: %q, %q; want %q", address, name, problem, want)
		}
	}
}
