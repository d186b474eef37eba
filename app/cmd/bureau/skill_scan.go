package main

import (
	"archive/zip"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/bureau-agents/bureau/core/skill"
	"github.com/bureau-agents/bureau/core/skill/scan"
)

func skillScan() *cobra.Command {
	var raw bool
	cmd := &cobra.Command{
		Use: "scan PATH", Short: "Look at a skill before anybody runs it, without a server", Args: takes(1, "PATH"),
		Long: `Look for what a skill should not have, as the server does when it is handed in: PATH is its folder, a ZIP archive of it, or a file such as
SKILL.md. Nothing is run, opened or looked up. What the operator of a server has blocked and which names its marketplace has is not known here.

The verdicts are pass, review, warn and malicious. With warn and malicious the exit code is 1. The scan finds signs; it does not prove that a
skill is harmless. GET /v1/skills/scan_codes explains the findings.`,
		Example: "  bureau skill scan ./my-skill\n  bureau skill scan my-skill.zip --json | jq .findings",
		RunE: func(cmd *cobra.Command, args []string) error {
			in, err := scanned(args[0])
			if err != nil {
				return err
			}
			report := scan.Skill(in)
			if err := printScan(cmd.OutOrStdout(), report, raw); err != nil {
				return err
			}
			if report.Verdict == scan.Warn || report.Verdict == scan.Malicious {
				return exitError{fmt.Errorf("the verdict is %s", report.Verdict), 1}
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&raw, "json", false, "print the report as JSON")
	return cmd
}

// scanned reads a skill from the disk.
func scanned(path string) (scan.Input, error) {
	full, err := filepath.Abs(path) // "." has a name, too
	if err != nil {
		return scan.Input{}, err
	}
	in := scan.Input{Name: strings.TrimSuffix(filepath.Base(full), ".zip")}
	info, err := os.Stat(full)
	if err != nil {
		return in, err
	}
	var files []skill.Upload
	switch mode := info.Mode(); {
	case mode.IsDir():
		files, err = folderFiles(full)
	case !mode.IsRegular():
		return in, fmt.Errorf("%s is neither a folder nor a file", path)
	default:
		var file *os.File
		if file, err = os.Open(full); err != nil {
			return in, err
		}
		defer file.Close()
		if files, err = archived(file, info.Size()); err == nil && files == nil {
			files = []skill.Upload{{Path: info.Name(), Open: func() (io.ReadCloser, error) { return os.Open(full) }}}
		}
	}
	if err != nil {
		return in, fmt.Errorf("%s: %w", path, err)
	}
	if len(files) == 0 {
		return in, fmt.Errorf("%s has no files", path)
	}
	left := scan.MaxTotal
	for _, f := range files {
		content, more, err := head(f, min(left, scan.MaxFile))
		if err != nil {
			return in, fmt.Errorf("%s: %w", f.Path, err)
		}
		left -= len(content)
		one := scan.File{Path: f.Path, Content: content}
		if more {
			one.Size = int64(len(content)) + 1
		}
		in.Files = append(in.Files, one)
	}
	return in, nil
}

// archived returns the files of an archive, nil when it is none.
func archived(file *os.File, size int64) ([]skill.Upload, error) {
	magic := make([]byte, 4)
	if _, err := file.ReadAt(magic, 0); err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	if !bytes.Equal(magic, []byte("PK\x03\x04")) && !strings.HasSuffix(strings.ToLower(file.Name()), ".zip") {
		return nil, nil
	}
	return skill.ReadZip(file, size)
}

// folderFiles returns the files below a folder, in the order of their paths.
func folderFiles(dir string) ([]skill.Upload, error) {
	var out []skill.Upload
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(dir, path)
		switch {
		case err != nil:
			return err
		case d.IsDir() && d.Name() == ".git":
			return filepath.SkipDir
		case d.IsDir(), d.Name() == ".DS_Store":
			return nil
		case !d.Type().IsRegular():
			return fmt.Errorf("%s is not an ordinary file, which no skill may have", name)
		case len(out) == skill.MaxBundleFiles:
			return fmt.Errorf("more than %d files, which no skill may have", skill.MaxBundleFiles)
		}
		out = append(out, skill.Upload{Path: filepath.ToSlash(name), Open: func() (io.ReadCloser, error) { return os.Open(path) }})
		return nil
	})
	return out, err
}

// head reads the beginning of a file, and says whether there is more.
func head(f skill.Upload, most int) (content []byte, more bool, err error) {
	r, err := f.Open()
	if err != nil {
		return nil, false, err
	}
	defer r.Close()
	content, err = io.ReadAll(io.LimitReader(r, int64(most)+1))
	if errors.Is(err, zip.ErrChecksum) || errors.Is(err, zip.ErrFormat) {
		err = errors.New("cannot be unpacked")
	}
	if len(content) > most {
		return content[:most], true, err
	}
	return content, false, err
}

func printScan(w io.Writer, r scan.Report, raw bool) error {
	if raw {
		doc, err := r.Encode()
		if err != nil {
			return err
		}
		return printJSON(w, json.RawMessage(doc))
	}
	if _, err := fmt.Fprintf(w, "%s, score %d, risk %s\n", r.Verdict, r.Score, r.Risk); err != nil || len(r.Findings) == 0 {
		return err
	}
	rows := make([][]string, len(r.Findings))
	for i, f := range r.Findings {
		where := "-"
		if f.Path != "" {
			where = oneLine(f.Path)
		}
		if f.Line > 0 {
			where += ":" + strconv.Itoa(f.Line)
		}
		what := f.Message
		if f.Excerpt != "" {
			what += ": " + f.Excerpt
		}
		rows[i] = []string{string(f.Severity), string(f.Code), where, shorten(oneLine(what))}
	}
	if err := printTable(w, []string{"SEVERITY", "CODE", "WHERE", "WHAT"}, rows); err != nil || r.Omitted == 0 {
		return err
	}
	_, err := fmt.Fprintf(w, "and %d more\n", r.Omitted)
	return err
}
