package main

import (
	"fmt"
	"io"
	"mime/multipart"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/spf13/cobra"
)

type fileView struct {
	ID        string    `json:"id"`
	Filename  string    `json:"filename"`
	MimeType  string    `json:"mime_type"`
	SizeBytes int64     `json:"size_bytes"`
	CreatedAt time.Time `json:"created_at"`
}

func fileCommand() *cobra.Command {
	return group("file", "Upload, list and download files", fileUpload(), fileList(), fileDownload())
}

// form is a body of multipart/form-data. Closing it, as a client does with a body, ends whoever writes it.
type form struct {
	*io.PipeReader

	contentType string
}

// formOf makes a form of one file while it is read.
func formOf(name string, r io.Reader) form {
	reader, writer := io.Pipe()
	m := multipart.NewWriter(writer)
	go func() {
		part, err := m.CreateFormFile("file", name)
		if err == nil {
			_, err = io.Copy(part, r)
		}
		if err == nil {
			err = m.Close()
		}
		_ = writer.CloseWithError(err)
	}()
	return form{reader, m.FormDataContentType()}
}

func fileUpload() *cobra.Command {
	return &cobra.Command{
		Use: "upload FILE", Short: "Upload a file", Args: takes(1, "FILE"),
		Long:    `Upload a file. Its id is printed with the rest; sessions are given it as a resource of the type file, and it lies in their sandbox.`,
		Example: "  bureau file upload notes.txt",
		RunE: with(func(cmd *cobra.Command, c *client, args []string) error {
			f, err := os.Open(args[0])
			if err != nil {
				return err
			}
			defer f.Close()
			if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
				return fmt.Errorf("%s is not a file", args[0])
			}
			var made map[string]any
			if err := c.call(cmd.Context(), "POST", "/v1/files", formOf(filepath.Base(args[0]), f), &made); err != nil {
				return err
			}
			return printJSON(cmd.OutOrStdout(), made)
		}),
	}
}

func fileList() *cobra.Command {
	var session string
	cmd := &cobra.Command{
		Use: "list", Aliases: []string{"ls"}, Short: "List the files", Args: takes(0),
		Long:    "List uploads and what sessions have made, newest first. What a session left in /mnt/session/outputs is listed with --session.",
		Example: "  bureau file list\n  bureau file list --session sesn_01h...",
		RunE: with(func(cmd *cobra.Command, c *client, _ []string) error {
			query := url.Values{}
			if session != "" {
				query.Set("session_id", session)
			}
			files, err := pages[fileView](cmd, c, "/v1/files?"+query.Encode())
			if err != nil {
				return err
			}
			rows := make([][]string, len(files))
			for i, f := range files {
				rows[i] = []string{f.ID, strconv.FormatInt(f.SizeBytes, 10), f.CreatedAt.Format(time.DateTime), f.MimeType, oneLine(f.Filename)}
			}
			return printTable(cmd.OutOrStdout(), []string{"ID", "BYTES", "CREATED", "TYPE", "NAME"}, rows)
		}),
	}
	cmd.Flags().StringVar(&session, "session", "", "only of the session `ID`")
	return cmd
}

func fileDownload() *cobra.Command {
	return &cobra.Command{
		Use: "download ID", Short: "Write a file to standard output", Args: takes(1, "ID"),
		Long:    "Write what a file holds to standard output. Files that were stored as not downloadable are refused.",
		Example: "  bureau file download file_01h... > report.pdf",
		RunE: with(func(cmd *cobra.Command, c *client, args []string) error {
			res, err := c.request(cmd.Context(), "GET", "/v1/files/"+url.PathEscape(args[0])+"/content", nil)
			if err != nil {
				return err
			}
			defer res.Body.Close()
			_, err = io.Copy(cmd.OutOrStdout(), res.Body)
			return err
		}),
	}
}
